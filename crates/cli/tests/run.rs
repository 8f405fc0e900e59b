//! The manners of `leasehold run`: exit codes, signals, streams, environment, and what it leaves behind.

mod common;

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Failure, PATIENCE, code, content, leasehold, output, stderr, stdout};
use leasehold_testkit::{ChildProcess, RedisServer, assert_eventually};

/// Leases so long that a busy machine does not end them.
fn server_env(server: &RedisServer) -> Vec<(String, String)> {
    let mut variables = common::server_env(server);
    let longer = [
        ("LOCK_TTL", "5s"),
        ("LOCK_MAX_TTL", "5s"),
        ("REDIS_CONNECT_TIMEOUT", "3s"),
    ];
    variables.extend(longer.map(|(name, value)| (name.to_owned(), value.to_owned())));
    variables
}

fn run(server: &RedisServer, arguments: &[&str]) -> Result<std::process::Output, Failure> {
    let mut command = leasehold(&server_env(server));
    command.arg("run").args(arguments).stdin(Stdio::null());
    output(command)
}

#[test]
fn the_commands_own_code_is_passed_on() -> Result<(), Failure> {
    let server = RedisServer::builder().start()?;
    for (script, expected) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -9 $$", 137),
        ("kill $$", 143),
    ] {
        let ended = run(&server, &["order", "--", "sh", "-c", script])?;
        assert_eq!(code(&ended), expected, "{script}: {}", stderr(&ended));
    }
    assert_eq!(code(&run(&server, &["order", "no-such-command"])?), 127);
    assert_eq!(code(&run(&server, &["order", "/dev/null"])?), 126);
    // Options after the command belong to the command, also without `--`.
    assert_eq!(
        stdout(&run(&server, &["order", "echo", "-w", "3"])?),
        "-w 3\n"
    );
    assert_eq!(server.cli(&["EXISTS", "order"])?, "0");
    Ok(())
}

#[test]
fn each_kind_of_failure_has_a_code() -> Result<(), Failure> {
    let server = RedisServer::builder().password("secret").start()?;
    let ended = |overrides: &[(&str, &str)], arguments: &[&str]| -> Result<i32, Failure> {
        let mut command = leasehold(&server_env(&server));
        command
            .env("REDIS_PASSWORD", "secret")
            .envs(overrides.iter().copied());
        command.args(arguments).stdin(Stdio::null());
        Ok(code(&output(command)?))
    };
    let run = ["run", "order", "true"];
    assert_eq!(ended(&[], &run)?, 0);
    assert_eq!(ended(&[], &["run"])?, 64);
    assert_eq!(ended(&[], &["run", "two\nlines", "true"])?, 64);
    assert_eq!(ended(&[("REDIS_PORT", "1")], &run)?, 69);
    assert_eq!(ended(&[("REDIS_PASSWORD", "wrong")], &run)?, 77);
    assert_eq!(ended(&[("REDIS_PASSWORD", "")], &run)?, 77);
    assert_eq!(ended(&[("REDIS_PORT", "many")], &run)?, 78);
    assert_eq!(ended(&[("REDIS_HOST", ""), ("REDIS_PORT", "")], &run)?, 78);
    let limited = ["run", "order", "--max-hold", "200ms", "sleep", "20"];
    assert_eq!(ended(&[], &limited)?, 124);
    server.command(&[
        "SET",
        "order",
        "someone/00000000000000000000000000000000",
        "PX",
        "60000",
    ])?;
    assert_eq!(ended(&[], &["run", "order", "--no-wait", "true"])?, 75);
    assert_eq!(
        ended(&[], &["run", "order", "--wait", "200ms", "true"])?,
        75
    );
    assert_eq!(ended(&[], &["run", "order", "-n", "-E", "0", "false"])?, 0);
    Ok(())
}

#[test]
fn the_command_knows_its_lease_and_has_our_streams() -> Result<(), Failure> {
    let server = RedisServer::builder().start()?;
    let script = "read line; echo \"$line $LEASEHOLD_RESOURCE $LEASEHOLD_FENCE $LEASEHOLD_TOKEN\"";
    let mut command = leasehold(&server_env(&server));
    command.args(["run", "order", "--", "sh", "-c", script]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    child.stdin.take().ok_or("no pipe")?.write_all(b"hello\n")?;
    let printed = stdout(&child.wait_with_output()?);
    let words: Vec<&str> = printed.split_whitespace().collect();
    let [greeting, resource, fence, token] = words.as_slice() else {
        return Err(printed.into());
    };
    assert_eq!((*greeting, *resource), ("hello", "order"));
    assert!(fence.parse::<u64>()? > 0 && token.contains('/'));
    Ok(())
}

#[test]
fn signals_reach_the_command_and_its_end_is_awaited() -> Result<(), Failure> {
    let server = RedisServer::builder().start()?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("ready");
    let script = "trap 'sleep 0.2; echo bye; exit 5' TERM; echo ready > \"$0\"; while :; do sleep 0.05; done";
    let mut command = leasehold(&server_env(&server));
    command
        .args(["run", "order", "--", "sh", "-c", script])
        .arg(&file);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let child = ChildProcess::spawn(command)?;
    content(&file)?;
    child.terminate()?;
    assert_eq!(child.wait(PATIENCE)?.code(), Some(5));
    assert_eq!(server.cli(&["EXISTS", "order"])?, "0");
    Ok(())
}

#[test]
fn a_signal_while_waiting_ends_the_wait() -> Result<(), Failure> {
    let server = RedisServer::builder().start()?;
    server.command(&[
        "SET",
        "order",
        "someone/00000000000000000000000000000000",
        "PX",
        "60000",
    ])?;
    let mut command = leasehold(&server_env(&server));
    command
        .args(["run", "order", "true"])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let child = ChildProcess::spawn(command)?;
    std::thread::sleep(Duration::from_millis(300));
    child.terminate()?;
    assert_eq!(child.wait(PATIENCE)?.code(), Some(143));
    Ok(())
}

#[test]
fn nothing_is_left_of_a_command_that_is_ended() -> Result<(), Failure> {
    let server = RedisServer::builder().start()?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("grandchild");
    // The grandchild leaves the process group and ignores what can be ignored.
    let script = "(trap '' TERM HUP; setsid sh -c 'echo $$ > \"$0\"; exec sleep 60' \"$0\") & wait";
    let mut command = leasehold(&server_env(&server));
    command
        .args([
            "run",
            "order",
            "--max-hold",
            "400ms",
            "--",
            "sh",
            "-c",
            script,
        ])
        .arg(&file);
    command.stdin(Stdio::null());
    assert_eq!(code(&output(command)?), 124);
    let grandchild = content(&file)?;
    assert!(!common::is_alive(&grandchild));
    Ok(())
}

/// Starts a shell that runs `first`, and sends a signal to its guard; also the shell's process id.
fn run_and_signal_the_guard(
    server: &RedisServer,
    first: &str,
    signal: &str,
) -> Result<(ChildProcess, String), Failure> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("pids");
    let script = format!("{first}; echo $PPID $$ > \"$0\"; sleep 60");
    let mut command = leasehold(&server_env(server));
    command.args(["run", "order", "--", "sh", "-c", &script]);
    command
        .arg(&file)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let child = ChildProcess::spawn(command)?;
    let pids = content(&file)?;
    let (guard, shell) = pids.split_once(' ').ok_or("no pids")?;
    let mut kill = std::process::Command::new("kill");
    kill.args([signal, guard]).status()?;
    Ok((child, shell.to_owned()))
}

/// The guard is the one process that nobody would miss: without it the command must not run on.
#[test]
fn the_command_dies_with_its_guard() -> Result<(), Failure> {
    let server = RedisServer::builder().start()?;
    let (child, shell) = run_and_signal_the_guard(&server, "true", "-9")?;
    assert_eq!(child.wait(PATIENCE)?.code(), Some(70));
    assert!(!common::is_alive(&shell));
    Ok(())
}

/// What is killed takes a moment to die, all the more with much memory. The lock is held until then.
#[test]
fn a_command_whose_guard_died_is_gone_before_the_lock_is_released() -> Result<(), Failure> {
    let server = RedisServer::builder().start()?;
    let fill = "memory=$(head -c 200M /dev/zero | tr '\\0' x)";
    let (child, shell) = run_and_signal_the_guard(&server, fill, "-9")?;
    assert_eventually("the release", PATIENCE, || {
        server
            .cli(&["EXISTS", "order"])
            .is_ok_and(|left| left == "0")
    });
    assert!(!common::is_alive(&shell));
    assert_eq!(child.wait(PATIENCE)?.code(), Some(70));
    Ok(())
}

/// A guard that is stopped itself does not keep the command alive either: its holder looks after it.
#[test]
fn a_stopped_guard_keeps_no_command_alive() -> Result<(), Failure> {
    let server = RedisServer::builder().start()?;
    let (child, shell) = run_and_signal_the_guard(&server, "true", "-STOP")?;
    server.command(&["DEL", "order"])?;
    assert_eventually("the command to be killed", PATIENCE, || {
        !common::is_alive(&shell)
    });
    assert_eq!(child.wait(PATIENCE)?.code(), Some(76));
    Ok(())
}

#[test]
fn with_locking_disabled_it_runs_and_says_so() -> Result<(), Failure> {
    let disabled = [("IS_LOCKING_DISABLED".to_owned(), "true".to_owned())];
    let mut command = leasehold(&disabled);
    command
        .args(["run", "order", "echo", "ran"])
        .stdin(Stdio::null());
    let ended = output(command)?;
    assert_eq!((code(&ended), stdout(&ended).as_str()), (0, "ran\n"));
    assert!(
        stderr(&ended).contains("WITHOUT a lock"),
        "{}",
        stderr(&ended)
    );

    let mut command = leasehold(&disabled);
    command.args(["run", "order", "--require-lock", "echo", "ran"]);
    let ended = output(command)?;
    assert_eq!((code(&ended), stdout(&ended).as_str()), (78, ""));
    Ok(())
}

/// Not much slower than asking Redis twice by hand.
#[test]
fn a_lock_costs_little_more_than_a_question() -> Result<(), Failure> {
    let server = RedisServer::builder().start()?;
    let best =
        |mut measured: Box<dyn FnMut() -> Result<(), Failure>>| -> Result<Duration, Failure> {
            let mut best = Duration::MAX;
            for _ in 0..20 {
                let start = Instant::now();
                measured()?;
                best = best.min(start.elapsed());
            }
            Ok(best)
        };
    let port = server.port().to_string();
    let by_hand = best(Box::new(move || {
        for words in [["SET", "by-hand", "1"].as_slice(), &["GET", "by-hand"]] {
            let mut command = std::process::Command::new("redis-cli");
            command
                .args(["-p", &port])
                .args(words)
                .stdout(Stdio::null());
            command.status()?;
        }
        Ok(())
    }))?;
    let variables = server_env(&server);
    let locked = best(Box::new(move || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_leasehold"));
        command
            .env_clear()
            .envs(variables.clone())
            .env("LOCK_ENV_FILE", "none");
        command
            .args(["run", "order", "/bin/true"])
            .stdin(Stdio::null());
        command.status()?;
        Ok(())
    }))?;
    println!("SET and GET by redis-cli: {by_hand:?}; leasehold run: {locked:?}");
    if !cfg!(debug_assertions) {
        assert!(locked < 3 * by_hand, "{locked:?} against {by_hand:?}");
    }
    Ok(())
}

/// After a restart of the master nothing is granted for a while: whoever waits is told why.
#[test]
fn who_waits_for_the_gate_is_told_so() -> Result<(), Failure> {
    let server = RedisServer::builder().start()?;
    let mut command = leasehold(&server_env(&server));
    command.env("LOCK_SAFETY", "strict");
    command.args(["run", "order", "--", "true"]);
    let ended = output(command)?;
    assert_eq!(code(&ended), 0, "{}", stderr(&ended));
    let told = stderr(&ended);
    assert!(
        told.contains("waiting for `order` since") && told.contains("gate closed for another"),
        "{told}"
    );
    Ok(())
}

/// A master that is down when the command starts may come back while it waits; without `--wait` the
/// command does not.
#[test]
fn who_waits_also_waits_for_redis() -> Result<(), Failure> {
    let server = RedisServer::builder().start()?;
    let port = server.port();
    server.kill();
    let directory = tempfile::tempdir()?;
    let told = directory.path().join("told");
    let mut command = leasehold(&common::port_env(port));
    command.args(["run", "--wait", "60s", "order", "--", "true"]);
    command.stderr(std::fs::File::create(&told)?);
    let waiting = ChildProcess::spawn(command)?;
    assert!(content(&told)?.contains("waiting for Redis"));
    let impatient = output({
        let mut command = leasehold(&common::port_env(port));
        command.args(["run", "order", "--", "true"]);
        command
    })?;
    assert_eq!(code(&impatient), 69, "{}", stderr(&impatient));
    server.restart()?;
    let ended = waiting.wait(PATIENCE)?;
    assert_eq!(ended.code(), Some(0), "{}", content(&told)?);
    Ok(())
}
