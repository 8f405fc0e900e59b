//! `leasehold run` on a terminal: what is typed reaches the command once, and job control works.

mod common;

use std::process::{Command, Stdio};

use common::terminal::{CTRL_C, CTRL_Z, Terminal};
use common::{Failure, PATIENCE, content, leasehold};
use leasehold_testkit::{ChildProcess, RedisServer, wait_for};

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

/// A terminal, and what a command in it leaves: its process id in a file, and a lock or none.
struct Stage {
    server: RedisServer,
    terminal: Terminal,
    directory: tempfile::TempDir,
}

impl Stage {
    fn open() -> Result<Self, Failure> {
        Ok(Self {
            server: RedisServer::start()?,
            terminal: Terminal::open()?,
            directory: tempfile::tempdir()?,
        })
    }

    fn file(&self) -> String {
        let path = self.directory.path().join("pid");
        path.to_string_lossy().into_owned()
    }

    fn pid(&self) -> Result<String, Failure> {
        content(self.file().as_ref())
    }

    /// `leasehold run`; the script finds the file's name in `$0`.
    fn run(&self, script: &str) -> Command {
        let file = self.file();
        command(
            &self.server,
            &["run", "order", "--", "sh", "-c", script, &file],
        )
    }

    fn spawn(&self, script: &str) -> Result<ChildProcess, Failure> {
        self.terminal.spawn(&self.run(script))
    }

    fn types(&self, text: &str) -> Result<(), Failure> {
        self.terminal.type_in(text)
    }

    /// Whether somebody holds the lock.
    fn is_locked(&self) -> Result<bool, Failure> {
        Ok(self.server.cli(&["EXISTS", "order"])? == "1")
    }

    /// That it has ended with this code, and without a lock.
    fn has_ended(&self, running: &ChildProcess, code: i32) -> Result<(), Failure> {
        let contents = || self.terminal.contents();
        assert_eq!(running.wait(PATIENCE)?.code(), Some(code), "{}", contents());
        assert!(!self.is_locked()?);
        Ok(())
    }

    /// A shell with job control, in which `leasehold` is the command.
    fn shell(&self) -> Result<ChildProcess, Failure> {
        let program = env!("CARGO_BIN_EXE_leasehold");
        let mut shell = Command::new("bash");
        shell.args(["--norc", "--noprofile", "-i"]);
        let given = command(&self.server, &[]);
        for (name, value) in given.get_envs() {
            if let Some(value) = value {
                shell.env(name, value);
            }
        }
        shell.env("PS1", "$ ").env("HISTFILE", "/dev/null");
        let running = self.terminal.spawn(&shell)?;
        self.terminal.shows("$")?;
        self.types(&format!("alias leasehold={program}; set +H; PS2=; clear\n"))?;
        Ok(running)
    }
}

#[test]
fn ctrl_c_reaches_the_command_once_and_its_code_is_passed_on() -> Result<(), Failure> {
    let stage = Stage::open()?;
    let running = stage.spawn(COUNTING)?;
    let (group, foreground) = groups(&stage.pid()?)?;
    let (own, _) = groups(&running.pid().to_string())?;
    assert_eq!(
        (group, foreground),
        (own, own),
        "the command stays in the foreground"
    );
    stage.types(CTRL_C)?;
    stage.has_ended(&running, 41)
}

#[test]
fn without_a_terminal_the_command_has_a_group_of_its_own() -> Result<(), Failure> {
    let stage = Stage::open()?;
    let mut run = stage.run(COUNTING);
    run.stdin(Stdio::null());
    run.stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = ChildProcess::spawn(run)?;
    let pid = stage.pid()?;
    assert_eq!(groups(&pid)?.0.to_string(), pid);
    let interrupt = ["-INT", &running.pid().to_string()];
    Command::new("kill").args(interrupt).status()?;
    stage.has_ended(&running, 41)
}

#[test]
fn a_command_that_ctrl_c_ends_counts_as_interrupted() -> Result<(), Failure> {
    let stage = Stage::open()?;
    let running = stage.spawn("echo ready; exec sleep 60")?;
    stage.terminal.shows("ready")?;
    stage.types(CTRL_C)?;
    stage.has_ended(&running, 130)
}

#[test]
fn the_command_reads_what_is_typed() -> Result<(), Failure> {
    let stage = Stage::open()?;
    let running = stage.spawn("echo ready; read line; echo \"heard $line\"")?;
    stage.terminal.shows("ready")?;
    stage.types("hello\n")?;
    stage.terminal.shows("heard hello")?;
    stage.has_ended(&running, 0)
}

#[test]
fn job_control_stops_and_continues_the_command() -> Result<(), Failure> {
    let stage = Stage::open()?;
    let _shell = stage.shell()?;
    let script = format!("echo $$ > {}; read line; echo heard-$line", stage.file());
    stage.types(&format!(
        "leasehold run order -- sh -c '{script}'; echo code=$?\n"
    ))?;
    let pid = stage.pid()?;
    stage.types(CTRL_Z)?;
    until_state(&pid, 'T')?;
    // The shell has its terminal back; the command is where it was.
    stage.types("clear; echo in-the-shell\n")?;
    stage.terminal.shows("in-the-shell")?;
    stage.types("clear; fg; echo code=$?\n")?;
    until_state(&pid, 'S')?;
    stage.types("again\n")?;
    stage.terminal.shows("heard-again")?;
    stage.terminal.shows("code=0")?;
    assert!(!stage.is_locked()?);
    Ok(())
}

#[test]
fn in_the_background_the_command_runs_until_it_reads() -> Result<(), Failure> {
    let stage = Stage::open()?;
    let _shell = stage.shell()?;
    // Written to a file: what it prints must not disturb what is typed.
    let file = stage.file();
    let script = format!("sleep 0.3; echo $$ > {file}; read line; echo heard-$line");
    stage.types(&format!(
        "clear; leasehold run order -- sh -c '{script}' &\n"
    ))?;
    let pid = stage.pid()?;
    // It reads from a terminal that is not its own (SIGTTIN), and the lease is not lost by that.
    until_state(&pid, 'T')?;
    assert!(stage.is_locked()?);
    stage.types("clear; fg\n")?;
    until_state(&pid, 'S')?;
    stage.types("finally\n")?;
    stage.terminal.shows("heard-finally")?;
    stage.types("clear; echo code=$?\n")?;
    stage.terminal.shows("code=0")?;
    Ok(())
}

/// `stty tostop` stops a background process that prints: the guard never does, and so goes on.
#[test]
fn a_command_that_is_stopped_for_too_long_loses_its_lease_and_its_life() -> Result<(), Failure> {
    let stage = Stage::open()?;
    let _shell = stage.shell()?;
    stage.types("stty tostop; clear\n")?;
    let script = format!("echo $$ > {}; sleep 60", stage.file());
    stage.types(&format!(
        "LOCK_TTL=1s leasehold run order -- sh -c '{script}'\n"
    ))?;
    let pid = stage.pid()?;
    stage.types(CTRL_Z)?;
    wait_for("the end of the command", PATIENCE, || match state(&pid) {
        None | Some('Z') => Ok(()),
        Some(state) => Err(format!("it is in state {state}")),
    })?;
    stage.types("clear; fg; echo code=$?\n")?;
    stage.terminal.shows("code=76")?;
    Ok(())
}
