//! `leasehold run` on a terminal: what is typed reaches the command once, and job control works.

mod common;

use std::process::Command;

use common::terminal::{CTRL_C, CTRL_Z, Terminal};
use common::{Failure, PATIENCE, content, leasehold};
use leasehold_testkit::{RedisServer, wait_for};

/// Leases so long that neither a busy machine nor a stop by hand ends them.
fn command(server: &RedisServer, words: &[&str]) -> Command {
    let mut command = leasehold(&common::server_env(server));
    command.env("LOCK_TTL", "20s").env("LOCK_MAX_TTL", "20s");
    command.args(words);
    command
}

/// The process group of a process, and the one that its terminal listens to.
fn groups(pid: &str) -> Result<(i32, i32), Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no name")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    Ok((fields[2].parse()?, fields[5].parse()?))
}

fn state(pid: &str) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

fn until_state(pid: &str, expected: char) -> Result<(), Failure> {
    wait_for(
        format!("process {pid} in state {expected}"),
        PATIENCE,
        || match state(pid) {
            Some(state) if state == expected => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )?;
    Ok(())
}

/// Counts how often it is interrupted, and ends with that number after a moment without.
const COUNTING: &str = "count=0; trap 'count=$((count+1)); echo \"interrupted $count\"' INT; \
                        echo $$ > \"$0\"; while [ $count -eq 0 ]; do sleep 0.05; done; \
                        sleep 0.4; sleep 0.4; exit $((40+count))";

#[test]
fn ctrl_c_reaches_the_command_once_and_its_code_is_passed_on() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("pid");
    let terminal = Terminal::open()?;
    let mut run = command(&server, &["run", "order", "--", "sh", "-c", COUNTING]);
    run.arg(&file);
    let running = terminal.spawn(&run)?;
    let pid = content(&file)?;
    let (group, foreground) = groups(&pid)?;
    let (own, _) = groups(&running.pid().to_string())?;
    assert_eq!(
        (group, foreground),
        (own, own),
        "the command stays in the foreground"
    );
    terminal.type_in(CTRL_C)?;
    assert_eq!(
        running.wait(PATIENCE)?.code(),
        Some(41),
        "{}",
        terminal.contents()
    );
    assert_eq!(server.cli(&["EXISTS", "order"])?, "0");
    Ok(())
}

#[test]
fn without_a_terminal_the_command_has_a_group_of_its_own() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("pid");
    let mut run = command(&server, &["run", "order", "--", "sh", "-c", COUNTING]);
    run.arg(&file).stdin(std::process::Stdio::null());
    run.stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let running = leasehold_testkit::ChildProcess::spawn(run)?;
    let pid = content(&file)?;
    assert_eq!(groups(&pid)?.0.to_string(), pid);
    let interrupt = ["-INT", &running.pid().to_string()];
    Command::new("kill").args(interrupt).status()?;
    assert_eq!(running.wait(PATIENCE)?.code(), Some(41));
    Ok(())
}

#[test]
fn a_command_that_ctrl_c_ends_counts_as_interrupted() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    let terminal = Terminal::open()?;
    let script = "echo ready; exec sleep 60";
    let running = terminal.spawn(&command(
        &server,
        &["run", "order", "--", "sh", "-c", script],
    ))?;
    terminal.shows("ready")?;
    terminal.type_in(CTRL_C)?;
    assert_eq!(
        running.wait(PATIENCE)?.code(),
        Some(130),
        "{}",
        terminal.contents()
    );
    assert_eq!(server.cli(&["EXISTS", "order"])?, "0");
    Ok(())
}

#[test]
fn the_command_reads_what_is_typed() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    let terminal = Terminal::open()?;
    let script = "echo ready; read line; echo \"heard $line\"";
    let running = terminal.spawn(&command(
        &server,
        &["run", "order", "--", "sh", "-c", script],
    ))?;
    terminal.shows("ready")?;
    terminal.type_in("hello\n")?;
    terminal.shows("heard hello")?;
    assert_eq!(running.wait(PATIENCE)?.code(), Some(0));
    Ok(())
}

/// A shell with job control, in which `leasehold` is the command.
fn shell(
    server: &RedisServer,
    terminal: &Terminal,
) -> Result<leasehold_testkit::ChildProcess, Failure> {
    let program = env!("CARGO_BIN_EXE_leasehold");
    let mut shell = Command::new("bash");
    shell.args(["--norc", "--noprofile", "-i"]);
    let given = command(server, &[]);
    for (name, value) in given.get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    shell.env("PS1", "$ ").env("HISTFILE", "/dev/null");
    let running = terminal.spawn(&shell)?;
    terminal.shows("$")?;
    terminal.type_in(&format!("alias leasehold={program}; set +H; PS2=; clear\n"))?;
    Ok(running)
}

#[test]
fn job_control_stops_and_continues_the_command() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("pid");
    let path = file.to_string_lossy().into_owned();
    let terminal = Terminal::open()?;
    let _shell = shell(&server, &terminal)?;
    let script = format!("echo $$ > {path}; read line; echo heard-$line");
    terminal.type_in(&format!(
        "leasehold run order -- sh -c '{script}'; echo code=$?\n"
    ))?;
    let pid = content(&file)?;
    terminal.type_in(CTRL_Z)?;
    until_state(&pid, 'T')?;
    // The shell has its terminal back; the command is where it was.
    terminal.type_in("clear; echo in-the-shell\n")?;
    terminal.shows("in-the-shell")?;
    terminal.type_in("clear; fg; echo code=$?\n")?;
    until_state(&pid, 'S')?;
    terminal.type_in("again\n")?;
    terminal.shows("heard-again")?;
    terminal.shows("code=0")?;
    assert_eq!(server.cli(&["EXISTS", "order"])?, "0");
    Ok(())
}

#[test]
fn in_the_background_the_command_runs_until_it_reads() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("pid");
    let path = file.to_string_lossy().into_owned();
    let terminal = Terminal::open()?;
    let _shell = shell(&server, &terminal)?;
    // Written to a file: what it prints must not disturb what is typed.
    let script = format!("sleep 0.3; echo $$ > {path}; read line; echo heard-$line");
    terminal.type_in(&format!(
        "clear; leasehold run order -- sh -c '{script}' &\n"
    ))?;
    let pid = content(&file)?;
    // It reads from a terminal that is not its own (SIGTTIN), and the lease is not lost by that.
    until_state(&pid, 'T')?;
    assert_eq!(server.cli(&["EXISTS", "order"])?, "1");
    terminal.type_in("clear; fg\n")?;
    until_state(&pid, 'S')?;
    terminal.type_in("finally\n")?;
    terminal.shows("heard-finally")?;
    terminal.type_in("clear; echo code=$?\n")?;
    terminal.shows("code=0")?;
    Ok(())
}

/// `stty tostop` stops a background process that prints: the guard never does, and so goes on.
#[test]
fn a_command_that_is_stopped_for_too_long_loses_its_lease_and_its_life() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("pid");
    let path = file.to_string_lossy().into_owned();
    let terminal = Terminal::open()?;
    let _shell = shell(&server, &terminal)?;
    terminal.type_in("stty tostop; clear\n")?;
    let script = format!("echo $$ > {path}; sleep 60");
    terminal.type_in(&format!(
        "LOCK_TTL=1s leasehold run order -- sh -c '{script}'\n"
    ))?;
    let pid = content(&file)?;
    terminal.type_in(CTRL_Z)?;
    wait_for("the end of the command", PATIENCE, || match state(&pid) {
        None | Some('Z') => Ok(()),
        Some(state) => Err(format!("it is in state {state}")),
    })?;
    terminal.type_in("clear; fg; echo code=$?\n")?;
    terminal.shows("code=76")?;
    Ok(())
}
