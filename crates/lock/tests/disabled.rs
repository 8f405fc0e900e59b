//! `IS_LOCKING_DISABLED=true`: the same worker runs without Redis, and connects to nothing but what it works on.

use std::collections::HashSet;
use std::error::Error;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use leasehold::{Config, Locker};

/// How many steps the worker must write.
const STEPS: u64 = 5;
const PATIENCE: Duration = Duration::from_secs(30);

const LOUD: &str = "LOCKING IS DISABLED: every lease is granted at once and excludes nobody";

struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_worker_works_and_asks_no_redis_that_is_configured() -> Result<(), Box<dyn Error>> {
    let trap = TcpListener::bind("127.0.0.1:0")?;
    trap.set_nonblocking(true)?;
    let port = trap.local_addr()?.port();
    let seen = run(&[
        ("REDIS_SENTINEL_HOSTS", &format!("127.0.0.1:{port}")),
        ("REDIS_SENTINEL_SERVICE", "mymaster"),
        ("REDIS_PASSWORD", "not-used"),
    ])?;
    assert_eq!(
        seen,
        HashSet::new(),
        "connections to other than the journal"
    );
    let visit = trap.accept().map(drop).map_err(|error| error.kind());
    assert_eq!(visit, Err(ErrorKind::WouldBlock), "the Sentinel was asked");
    Ok(())
}

#[test]
fn a_worker_works_where_no_redis_is_configured() -> Result<(), Box<dyn Error>> {
    assert_eq!(run(&[])?, HashSet::new());
    Ok(())
}

/// Not a test: what the children run.
#[tokio::test]
#[ignore = "run by the other tests, as a process of its own"]
async fn child() -> Result<(), leasehold::Error> {
    if std::env::var_os("SUBSCRIBES").is_some() {
        tracing_subscriber::fmt()
            .with_writer(std::io::stdout)
            .init();
    }
    let config = Config::from_vars([("IS_LOCKING_DISABLED", "true")])?;
    assert!(!Locker::connect(config).await?.is_enabled());
    Ok(())
}

/// What a child writes to standard output and to standard error.
fn child_says(variables: &[(&str, &str)]) -> Result<(String, String), Box<dyn Error>> {
    let arguments = ["--exact", "child", "--ignored", "--nocapture"];
    let output = Command::new(std::env::current_exe()?)
        .args(arguments)
        .env_remove("SUBSCRIBES")
        .envs(variables.iter().copied())
        .output()?;
    assert!(output.status.success(), "{output:?}");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((text(&output.stdout), text(&output.stderr)))
}

#[test]
fn disabled_locking_is_told_on_standard_error_where_nobody_subscribes() -> Result<(), Box<dyn Error>>
{
    let (_, complaints) = child_says(&[])?;
    assert!(complaints.contains(LOUD), "{complaints}");
    Ok(())
}

#[test]
fn a_subscriber_is_told_instead_of_standard_error() -> Result<(), Box<dyn Error>> {
    let (log, complaints) = child_says(&[("SUBSCRIBES", "")])?;
    assert!(log.contains(LOUD), "{log}");
    assert!(!complaints.contains(LOUD), "{complaints}");
    Ok(())
}

/// As with `program 2>&1 | head -1`.
#[test]
fn standard_error_that_nobody_reads_stops_no_program() -> Result<(), Box<dyn Error>> {
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    let status = Command::new(std::env::current_exe()?)
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env_remove("SUBSCRIBES")
        .stdout(Stdio::null())
        .stderr(writer)
        .status()?;
    assert!(status.success(), "{status}");
    Ok(())
}

/// The control: what the others look for is there where locking is enabled.
#[test]
fn a_worker_with_locking_is_seen_to_connect() -> Result<(), Box<dyn Error>> {
    let trap = TcpListener::bind("127.0.0.1:0")?;
    let port = trap.local_addr()?.port();
    let variables = [
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &port.to_string()),
    ];
    let mut worker = start("false", "127.0.0.1:1", &variables)?;
    let give_up = Instant::now() + PATIENCE;
    while !connected_to(worker.0.id())?.contains(&port) {
        assert!(Instant::now() < give_up, "no connection was seen");
        // On a busy machine it may have given up between two looks.
        if worker.0.try_wait()?.is_some() {
            worker = start("false", "127.0.0.1:1", &variables)?;
        }
    }
    Ok(())
}

/// Runs a worker until it has written its steps; gives the ports to which it was connected meanwhile, other than the
/// journal's.
fn run(variables: &[(&str, &str)]) -> Result<HashSet<u16>, Box<dyn Error>> {
    let journal = TcpListener::bind("127.0.0.1:0")?;
    let journal_port = journal.local_addr()?.port();
    let address = format!("127.0.0.1:{journal_port}");
    let mut worker = start("true", &address, variables)?;

    let mut ports = HashSet::new();
    let mut last = 0;
    let give_up = Instant::now() + PATIENCE;
    journal.set_nonblocking(true)?;
    while last < STEPS {
        assert!(Instant::now() < give_up, "only {last} steps were written");
        if let Some(status) = worker.0.try_wait()? {
            return Err(format!("the worker ended with {status}").into());
        }
        ports.extend(connected_to(worker.0.id())?);
        match journal.accept() {
            Ok((mut stream, _)) => {
                stream.set_nonblocking(false)?;
                let mut request = String::new();
                BufReader::new(&stream).read_line(&mut request)?;
                let words: Vec<&str> = request.split_whitespace().collect();
                match words[..] {
                    ["write", _, step, _] => {
                        last = step.parse()?;
                        writeln!(stream, "accepted")?;
                    }
                    _ => writeln!(stream, "{last}")?,
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error.into()),
        }
    }
    ports.remove(&journal_port);
    Ok(ports)
}

/// Starts a worker with these variables and none of our own environment's.
fn start(
    disabled: &str,
    journal: &str,
    variables: &[(&str, &str)],
) -> Result<Worker, Box<dyn Error>> {
    let mut command = Command::new(worker()?);
    for (name, _) in std::env::vars_os() {
        let foreign = ["REDIS_", "REDLOCK_", "LOCK_"];
        let text = name.to_string_lossy();
        if foreign.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    let child = command
        .env("IS_LOCKING_DISABLED", disabled)
        .env("LOCK_ENV_FILE", "none")
        .env("JOURNAL", journal)
        .envs(variables.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(Worker(child))
}

/// The remote ports of a process's TCP connections, by the kernel's account; sockets that wait for an answer count.
fn connected_to(process: u32) -> Result<HashSet<u16>, Box<dyn Error>> {
    let root = PathBuf::from(format!("/proc/{process}"));
    let mut sockets = HashSet::new();
    for entry in std::fs::read_dir(root.join("fd"))? {
        // One that was closed in the meantime is none.
        let Ok(target) = std::fs::read_link(entry?.path()) else {
            continue;
        };
        let target = target.to_string_lossy().into_owned();
        if let Some(inode) = target.strip_prefix("socket:[") {
            sockets.insert(inode.trim_end_matches(']').to_owned());
        }
    }
    let mut ports = HashSet::new();
    for table in ["net/tcp", "net/tcp6"] {
        // Without IPv6 there is no second table.
        let Ok(text) = std::fs::read_to_string(root.join(table)) else {
            continue;
        };
        for line in text.lines().skip(1) {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let (Some(remote), Some(inode)) = (columns.get(2), columns.get(9)) else {
                continue;
            };
            if let Some((_, port)) = remote.split_once(':')
                && sockets.contains(*inode)
            {
                ports.insert(u16::from_str_radix(port, 16)?);
            }
        }
    }
    Ok(ports)
}

/// The example, which cargo builds along with the tests, unless only this one was asked for.
fn worker() -> Result<PathBuf, Box<dyn Error>> {
    let test = std::env::current_exe()?;
    let profile = test.parent().and_then(Path::parent);
    let program = profile
        .ok_or("a test outside of target")?
        .join("examples/worker");
    if !program.is_file() {
        let mut build = Command::new(env!("CARGO"));
        build.args([
            "build",
            "--quiet",
            "--package",
            "leasehold",
            "--example",
            "worker",
        ]);
        assert!(build.status()?.success(), "the worker does not build");
    }
    Ok(program)
}
