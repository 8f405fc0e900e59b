//! Secrets stay out of whatever the command prints, at any level of detail, and what others wrote
//! into Redis cannot command the terminal.

mod common;

use std::process::Stdio;

use common::{Failure, code, leasehold, output, server_env, stderr, stdout};
use leasehold_testkit::{AclPasswords, RedisServer, users_acl};

const SECRET: &str = "correct-horse-battery";

#[test]
fn no_command_prints_a_password_or_a_token() -> Result<(), Failure> {
    let server = RedisServer::builder().password(SECRET).start()?;
    server.command(&[
        "SET",
        "taken",
        "someone/0123456789abcdef0123456789abcdef",
        "PX",
        "60000",
    ])?;
    let commands: [&[&str]; 14] = [
        &["run", "order", "true"],
        &["run", "taken", "--no-wait", "true"],
        &["run", "order", "--max-hold", "100ms", "sleep", "9"],
        &["status", "taken"],
        &["status", "taken", "--slots", "2"],
        &["list"],
        &["watch", "--count", "1"],
        &["wait", "taken", "-t", "100ms"],
        &["env"],
        &["topology"],
        &["doctor"],
        &["release", "taken", "--force"],
        &["release", "taken", "--force", "--yes"],
        &["man"],
    ];
    // Right, wrong, and in places where it breaks the configuration.
    let settings: [&[(&str, &str)]; 4] = [
        &[("REDIS_PASSWORD", SECRET)],
        &[("REDIS_PASSWORD", "correct-horse-battery-wrong")],
        &[("REDIS_PASSWORD", SECRET), ("REDIS_PORT", "none")],
        &[
            ("REDIS_HOST", ""),
            ("REDIS_URL", "redis://:correct-horse-battery@127.0.0.1:bad"),
        ],
    ];
    for settings in settings {
        for words in commands {
            for extra in [["-vv", "--quiet"], ["-vv", "--json"]] {
                let mut command = leasehold(&server_env(&server));
                command
                    .envs(settings.iter().copied())
                    .env("RUST_LOG", "trace")
                    .env("RUST_BACKTRACE", "full");
                command.args(extra).args(words).stdin(Stdio::null());
                let printed = output(command)?;
                let text = stdout(&printed) + &stderr(&printed);
                assert!(
                    !text.contains(SECRET),
                    "{words:?} {extra:?} prints the password:\n{text}"
                );
                assert!(
                    !text.contains("0123456789abcdef0123456789abcdef"),
                    "{words:?} {extra:?} prints a token:\n{text}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn what_others_wrote_cannot_command_the_terminal() -> Result<(), Failure> {
    let server = RedisServer::builder().start()?;
    let owner = "\u{1b}]0;owned\u{7}\u{1b}[2J\r\nforged: line/0123456789abcdef0123456789abcdef";
    let names = ["plain", "evil\u{1b}[31m\nname"];
    for name in names {
        server.command(&["SET", name, owner, "PX", "60000"])?;
    }
    let commands: [&[&str]; 5] = [
        &["watch", "--count", "1"],
        &["list"],
        &["list", "--json"],
        &["status", "plain"],
        &["run", "plain", "--no-wait", "true"],
    ];
    for words in commands {
        let mut command = leasehold(&server_env(&server));
        command.args(words);
        let printed = output(command)?;
        let text = stdout(&printed) + &stderr(&printed);
        let is_unsafe = |character: char| character.is_control() && character != '\n';
        assert!(!text.contains(is_unsafe), "{words:?}: {text:?}");
        assert!(
            !text.lines().any(|line| line.starts_with("forged")),
            "{words:?}: {text:?}"
        );
    }
    Ok(())
}

#[test]
fn an_observer_sees_and_cannot_touch() -> Result<(), Failure> {
    let acl = users_acl(AclPasswords {
        leasehold: "pw-leasehold",
        observer: "pw-observer",
        replica: "pw-replica",
        sentinel: "pw-sentinel",
        admin: "pw-admin",
    });
    let server = RedisServer::builder()
        .access_control_list(acl)
        .login("admin", "pw-admin")
        .start()?;
    server.command(&[
        "SET",
        "taken",
        "someone/0123456789abcdef0123456789abcdef",
        "PX",
        "60000",
    ])?;
    let ended = |words: &[&str]| -> Result<(i32, String), Failure> {
        let mut command = leasehold(&server_env(&server));
        command
            .env("REDIS_USERNAME", "observer")
            .env("REDIS_PASSWORD", "pw-observer");
        command.args(words).stdin(Stdio::null());
        let printed = output(command)?;
        Ok((code(&printed), stdout(&printed) + &stderr(&printed)))
    };
    let (status, text) = ended(&["status", "taken"])?;
    assert!(status == 0 && text.contains("someone"), "{text}");
    assert_eq!(ended(&["status", "free"])?.0, 1);
    let (listed, text) = ended(&["list"])?;
    assert!(listed == 0 && text.contains("taken"), "{text}");
    let (watched, text) = ended(&["watch", "--count", "1"])?;
    assert!(watched == 0 && text.contains("taken"), "{text}");
    assert_eq!(ended(&["status", "free", "--slots", "2"])?.0, 1);
    assert_eq!(ended(&["topology"])?.0, 0);
    assert_eq!(ended(&["run", "mine", "true"])?.0, 77);
    assert_eq!(ended(&["release", "taken", "--force", "--yes"])?.0, 77);
    assert_eq!(server.cli(&["EXISTS", "taken"])?, "1");
    Ok(())
}

#[test]
fn a_forced_release_takes_from_the_holder_that_was_shown() -> Result<(), Failure> {
    let server = RedisServer::builder().start()?;
    let ended = |words: &[&str]| -> Result<(i32, serde_json::Value), Failure> {
        let mut command = leasehold(&server_env(&server));
        command.arg("--json").args(words).stdin(Stdio::null());
        let printed = output(command)?;
        let document = serde_json::from_str(&stdout(&printed)).unwrap_or_default();
        Ok((code(&printed), document))
    };
    let token = |digit: &str| format!("someone/{}", digit.repeat(32));
    server.command(&["SET", "order", &token("1"), "PX", "60000"])?;
    let (_, shown) = ended(&["status", "order"])?;
    let id = shown["holder_id"].as_str().ok_or("no id")?;
    server.command(&["SET", "order", &token("2"), "PX", "60000"])?;
    assert_eq!(
        ended(&["release", "order", "--force", "--holder", id])?.0,
        75
    );
    server.command(&["SET", "order", &token("1"), "PX", "60000"])?;
    let (forced, document) = ended(&["release", "order", "--force", "--holder", id])?;
    assert_eq!(
        (forced, &document["released"]),
        (0, &serde_json::json!(true))
    );
    let fence = document["fence"].as_u64().ok_or("no fence")?;
    let mut command = leasehold(&server_env(&server));
    command.args(["run", "order", "--", "sh", "-c", "echo $LEASEHOLD_FENCE"]);
    assert!(stdout(&output(command)?).trim().parse::<u64>()? > fence);
    Ok(())
}
