//! What people met who used the command: messages that say what was asked and what to do, and codes that
//! tell endings apart.

mod common;

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use common::terminal::Terminal;
use common::{Failure, PATIENCE, code, leasehold, output, server_env, stderr, stdout};
use leasehold_testkit::{AclPasswords, RedisServer, users_acl};

const TAKEN: [&str; 5] = [
    "SET",
    "taken",
    "someone/0123456789abcdef0123456789abcdef",
    "PX",
    "60000",
];

fn command(server: &RedisServer, words: &[&str]) -> Command {
    let mut command = leasehold(&server_env(server));
    command.args(words).stdin(Stdio::null());
    command
}

/// Connecting takes a part of the wait, and the message tells what was asked for.
#[test]
fn a_wait_that_ran_out_tells_how_long_was_asked_for() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    server.command(&TAKEN)?;
    let ended = output(command(&server, &["run", "taken", "--wait", "1s", "true"]))?;
    let told = stderr(&ended);
    assert_eq!(code(&ended), 75, "{told}");
    assert!(
        told.contains("`taken` was not leased within 1s: "),
        "{told}"
    );
    Ok(())
}

/// A server that does not answer holds nobody up by name, and a job is not skipped for it.
#[test]
fn a_server_that_does_not_answer_is_not_a_resource_that_is_held() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    server.command(&["CLIENT", "PAUSE", "60000", "WRITE"])?;
    let words = ["run", "free", "--wait", "700ms", "--busy-code", "0", "true"];
    // The wait ends before the first reply is missed, and after several.
    for patience in ["2s", "200ms"] {
        let mut unanswered = command(&server, &words);
        unanswered
            .env("LOCK_TTL", "30s")
            .env("LOCK_MAX_TTL", "30s")
            .env("REDIS_COMMAND_TIMEOUT", patience);
        assert_unanswered(&output(unanswered)?);
    }
    Ok(())
}

fn assert_unanswered(ended: &Output) {
    let told = stderr(ended);
    assert_eq!(code(ended), 69, "{told}");
    assert!(
        !told.contains("held by") && !told.contains("DEL "),
        "{told}"
    );
}

/// `--busy-code 0` skips a job whose resource another client holds, and no other.
#[test]
fn the_busy_code_is_for_a_resource_that_another_holds() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    server.command(&TAKEN)?;
    // Long enough for a reply on a busy machine.
    let busy = ["--wait", "3s", "--busy-code", "0", "true"];
    let held = [["run", "taken"].as_slice(), &busy].concat();
    assert_eq!(code(&output(command(&server, &held))?), 0);
    let mut gated = command(&server, &[["run", "free"].as_slice(), &busy].concat());
    // After its start a master grants nothing for one longest lease.
    gated.env("LOCK_SAFETY", "strict").env("LOCK_MAX_TTL", "1h");
    let ended = output(gated)?;
    assert_eq!(code(&ended), 75, "{}", stderr(&ended));
    Ok(())
}

#[test]
fn a_configuration_that_is_elsewhere_is_asked_for() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let mut lost = leasehold(&[]);
    lost.args(["status", "order"]).env_remove("LOCK_ENV_FILE");
    let ended = output({
        lost.current_dir(directory.path());
        lost
    })?;
    let told = stderr(&ended);
    assert_eq!(code(&ended), 78, "{told}");
    let hint = format!(
        "there is no ./.env in {}; give --env-file FILE",
        directory.path().display()
    );
    assert!(told.contains(&hint), "{told}");
    // A link to a file that is missing is there, and is told of as what it is.
    std::os::unix::fs::symlink("nowhere", directory.path().join(".env"))?;
    let mut linked = leasehold(&[]);
    linked.args(["status", "order"]).env_remove("LOCK_ENV_FILE");
    linked.current_dir(directory.path());
    let told = stderr(&output(linked)?);
    assert!(told.contains("is a symbolic link"), "{told}");
    assert!(!told.contains(&hint), "{told}");
    // A file that was named is not looked for here.
    let mut named = leasehold(&[]);
    named.args(["status", "order"]);
    let told = stderr(&output(named)?);
    assert!(!told.contains("./.env"), "{told}");
    Ok(())
}

#[test]
fn a_question_that_was_answered_with_no_has_a_code_of_its_own() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    server.command(&TAKEN)?;
    let terminal = Terminal::open()?;
    let asking = terminal.spawn(&command(&server, &["release", "taken", "--force"]))?;
    terminal.shows("Take it from them?")?;
    terminal.type_in("n\n")?;
    assert_eq!(asking.wait(PATIENCE)?.code(), Some(79));
    assert_eq!(server.cli(&["EXISTS", "taken"])?, "1");
    // Where nobody can be asked, the command line lacks something.
    let ended = output(command(&server, &["release", "taken", "--force"]))?;
    assert_eq!(code(&ended), 64, "{}", stderr(&ended));
    Ok(())
}

/// The user that takes locks may not list them, and the one that lists them takes none.
#[test]
fn who_may_not_list_is_told_who_may_and_an_observer_reads_no_warnings() -> Result<(), Failure> {
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
    server.command(&TAKEN)?;
    let as_user = |user: &str, words: &[&str]| -> Result<(i32, String, String), Failure> {
        let mut command = command(&server, words);
        command
            .env("REDIS_USERNAME", user)
            .env("REDIS_PASSWORD", format!("pw-{user}"));
        let ended = output(command)?;
        Ok((code(&ended), stdout(&ended), stderr(&ended)))
    };
    for words in [["list"].as_slice(), &["watch", "--count", "1"]] {
        let (status, _, told) = as_user("leasehold", words)?;
        assert_eq!(status, 77, "{told}");
        assert!(told.contains("REDIS_USERNAME=observer"), "{told}");
        let (status, printed, told) = as_user("observer", words)?;
        assert!(
            status == 0 && printed.contains("someone"),
            "{printed}{told}"
        );
        assert_eq!(told, "", "{words:?}");
    }
    let (status, _, told) = as_user("observer", &["status", "taken"])?;
    assert_eq!((status, told.as_str()), (0, ""));
    Ok(())
}

/// What the SDK warns of is a remark of the command, and no line of a log.
#[test]
fn warnings_read_like_the_command() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    let mut odd = command(&server, &["run", "order", "true"]);
    // Seconds, where milliseconds were meant.
    odd.env("LOCK_ACQUIRE_TIMEOUT", "5000");
    let ended = output(odd)?;
    let told = stderr(&ended);
    assert!(told.starts_with("leasehold: warning: "), "{told}");
    assert!(!told.contains(" WARN "), "{told}");
    Ok(())
}

#[test]
fn durations_are_read_as_in_the_configuration() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    for wait in ["1", "0.5", ".5", "500ms", "500 ms", "1m", "1h"] {
        let ended = output(command(&server, &["run", "free", "--wait", wait, "true"]))?;
        assert_eq!(code(&ended), 0, "{wait}: {}", stderr(&ended));
    }
    for wait in ["", "0", "-1s", "inf", "nan", "1d", "s", "366d", "9000h"] {
        let ended = output(command(
            &server,
            &["run", "free", &format!("--wait={wait}"), "true"],
        ))?;
        assert_eq!(code(&ended), 64, "{wait}");
    }
    let began = std::time::Instant::now();
    let _ = output(command(&server, &["wait", "free", "--timeout", "1h"]))?;
    assert!(began.elapsed() < Duration::from_secs(60));
    Ok(())
}
