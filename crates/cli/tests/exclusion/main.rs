//! No second holder beside a live child: the command of a lease that ends is dead before anybody
//! else is granted the resource, whatever happens to the holder, the network or Redis.
//!
//! Each test runs `ROUNDS` rounds, a few at a time. The first command ignores `SIGTERM` and has a
//! child of its own, in a process group of its own. The second command looks whether they are dead,
//! as the first thing it does.

#[path = "../common/mod.rs"]
mod common;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::thread;

use common::{Failure, PATIENCE, content, is_alive, leasehold};
use leasehold_testkit::{ChildProcess, Mode, Proxy, RedisServer};
use tempfile::TempDir;

const ROUNDS: usize = 50;
const AT_ONCE: usize = 10;

/// Two processes that only `SIGKILL` ends; both write down who they are.
const STUBBORN: &str = "trap '' TERM HUP INT; setsid sh -c 'echo $$ > \"$0\"; exec sleep 60' \"$1\" & \
                        echo $$ > \"$0\"; while :; do sleep 60; done";

/// Writes down which of the first command's processes live.
const LOOK: &str = "for file in \"$0\" \"$1\"; do pid=$(cat \"$file\"); \
                    state=$(sed 's/.*) //' /proc/$pid/stat 2>/dev/null | cut -c1); \
                    case \"$state\" in ''|Z|X) echo dead;; *) echo ALIVE;; esac; done > \"$2.new\"; \
                    mv \"$2.new\" \"$2\"";

/// Leases of which a tenth, which is what `SIGKILL` is given to work, is long for a machine that has
/// other things to do.
fn port_env(port: u16) -> Vec<(String, String)> {
    let mut variables = common::port_env(port);
    let longer = [("LOCK_TTL", "3s"), ("LOCK_MAX_TTL", "3s")];
    variables.extend(longer.map(|(name, value)| (name.to_owned(), value.to_owned())));
    variables
}

fn server_env(server: &RedisServer) -> Vec<(String, String)> {
    port_env(server.port())
}

/// One resource, one holder with its stubborn command.
struct Round {
    resource: String,
    directory: TempDir,
    first: ChildProcess,
}

impl Round {
    fn start(number: usize, variables: &[(String, String)]) -> Result<Self, Failure> {
        let directory = tempfile::tempdir()?;
        let resource = format!("round-{number}");
        let mut command = leasehold(variables);
        command
            .args(["run", &resource, "--", "sh", "-c", STUBBORN])
            .args([path(&directory, "first"), path(&directory, "grandchild")])
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let first = ChildProcess::spawn(command)?;
        content(&path(&directory, "first"))?;
        content(&path(&directory, "grandchild"))?;
        Ok(Self {
            resource,
            directory,
            first,
        })
    }

    /// Runs a second holder and returns what it saw of the first.
    fn second(&self, variables: &[(String, String)]) -> Result<String, Failure> {
        let mut command = leasehold(variables);
        command
            .args([
                "run",
                "--quiet",
                "--wait",
                "15s",
                &self.resource,
                "--",
                "sh",
                "-c",
                LOOK,
            ])
            .args(["first", "grandchild", "seen"].map(|name| path(&self.directory, name)))
            .stdin(Stdio::null());
        let second = ChildProcess::spawn(command)?;
        let status = second.wait(PATIENCE)?;
        if !status.success() {
            return Err(format!("the second holder ended with {status}").into());
        }
        content(&path(&self.directory, "seen"))
    }

    fn exit_code(&self) -> Result<Option<i32>, Failure> {
        Ok(self.first.wait(PATIENCE)?.code())
    }
}

fn path(directory: &TempDir, name: &str) -> PathBuf {
    Path::new(directory.path()).join(name)
}

/// A proxy; its port may be taken at the last moment by one of the many connections of this test.
fn proxy(server: &RedisServer) -> Result<Proxy, Failure> {
    let mut last = None;
    for _ in 0..5 {
        match Proxy::start(server.address()) {
            Ok(proxy) => return Ok(proxy),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| "no proxy".into(), Failure::from))
}

/// Runs `round` for every number, a few at a time, and counts those in which all were dead. A round
/// that cannot be held, on a machine so busy that a lease ends before its command starts, is
/// repeated; one in which something lived is not.
fn rounds(
    round: impl Fn(usize) -> Result<String, Failure> + Sync,
) -> Result<(usize, Vec<String>), Failure> {
    // One test at a time: what is measured here is not the load of the others.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let round = &|number| {
        round(number)
            .or_else(|_| round(number))
            .or_else(|_| round(number))
    };
    let mut seen = Vec::new();
    for start in (0..ROUNDS).step_by(AT_ONCE) {
        let batch: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (start..start + AT_ONCE)
                .map(|number| scope.spawn(move || round(number)))
                .collect();
            let joined = threads.into_iter().map(thread::ScopedJoinHandle::join);
            joined.collect()
        });
        for outcome in batch {
            seen.push(outcome.map_err(|_| "a round panicked")??);
        }
    }
    let dead = seen.iter().filter(|seen| *seen == "dead\ndead").count();
    Ok((dead, seen))
}

#[test]
fn a_holder_that_is_stopped_keeps_no_child_alive() -> Result<(), Failure> {
    let server = RedisServer::builder().start()?;
    let variables = server_env(&server);
    let (dead, seen) = rounds(|number| {
        let round = Round::start(number, &variables)?;
        round.first.pause()?;
        let seen = round.second(&variables)?;
        round.first.resume()?;
        // It wakes up to find the command gone, and says why.
        if round.exit_code()? != Some(76) {
            return Err("the stopped holder did not report the loss".into());
        }
        Ok(seen)
    })?;
    assert_eq!(dead, ROUNDS, "{seen:?}");
    Ok(())
}

#[test]
fn a_holder_that_is_cut_off_keeps_no_child_alive() -> Result<(), Failure> {
    let server = RedisServer::builder().start()?;
    let near = server_env(&server);
    let (dead, seen) = rounds(|number| {
        let proxy = proxy(&server)?;
        let round = Round::start(number, &port_env(proxy.port()))?;
        proxy.set_mode(Mode::Blackhole)?;
        let seen = round.second(&near)?;
        if round.exit_code()? != Some(76) {
            return Err("the holder did not report the loss".into());
        }
        Ok(seen)
    })?;
    assert_eq!(dead, ROUNDS, "{seen:?}");
    Ok(())
}

#[test]
fn a_holder_that_is_killed_keeps_no_child_alive() -> Result<(), Failure> {
    let server = RedisServer::builder().start()?;
    let variables = server_env(&server);
    let (dead, seen) = rounds(|number| {
        let round = Round::start(number, &variables)?;
        round.first.kill();
        round.second(&variables)
    })?;
    assert_eq!(dead, ROUNDS, "{seen:?}");
    Ok(())
}

/// A server that restarts empty has forgotten the lock. Strict mode grants nothing until every lease
/// from before must have ended. (The holder is cut off as well: it would re-assert its lease.)
#[test]
fn a_redis_that_dies_and_forgets_keeps_no_child_alive() -> Result<(), Failure> {
    let strict = |port| {
        let mut variables = port_env(port);
        variables.push(("LOCK_SAFETY".into(), "strict".into()));
        variables
    };
    let (dead, seen) = rounds(|number| {
        let server = RedisServer::builder().start()?;
        let proxy = proxy(&server)?;
        let round = Round::start(number, &strict(proxy.port()))?;
        proxy.set_mode(Mode::Blackhole)?;
        server.kill();
        server.restart_empty()?;
        round.second(&strict(server.port()))
    })?;
    assert_eq!(dead, ROUNDS, "{seen:?}");
    Ok(())
}

/// The control: a wrapper as others make them renews in a loop and looks after its child. Stopped,
/// it leaves the child running beside the next holder, and this very test sees it.
#[test]
fn a_wrapper_without_a_guard_is_caught() -> Result<(), Failure> {
    let server = RedisServer::builder().start()?;
    let directory = tempfile::tempdir()?;
    let wrapper = format!(
        "redis-cli -p {port} SET naive me NX PX 1000 >/dev/null; sh -c \"$0\" \"$1\" \"$2\" & \
         while sleep 0.3; do redis-cli -p {port} PEXPIRE naive 1000 >/dev/null; done",
        port = server.port()
    );
    let mut command = ChildProcess::command("sh");
    command
        .args(["-c", &wrapper, STUBBORN])
        .args([path(&directory, "first"), path(&directory, "grandchild")]);
    let round = Round {
        resource: "naive".to_owned(),
        first: ChildProcess::spawn(command)?,
        directory,
    };
    let pids = [
        content(&path(&round.directory, "first"))?,
        content(&path(&round.directory, "grandchild"))?,
    ];
    round.first.pause()?;
    let seen = round.second(&server_env(&server));
    let alive = pids.iter().filter(|pid| is_alive(pid)).count();
    for pid in &pids {
        let _ = std::process::Command::new("kill")
            .args(["-9", pid])
            .status();
    }
    assert_eq!((seen?.as_str(), alive), ("ALIVE\nALIVE", 2));
    Ok(())
}
