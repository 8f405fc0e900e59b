//! Nothing is left behind, however the test process ends.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use leasehold_testkit::{RedisServer, Result, SentinelCluster, assert_eventually};

const WITHIN: Duration = Duration::from_secs(10);
const ROLE: &str = "LEASEHOLD_TESTKIT_CHILD";

fn alive(pid: u32) -> bool {
    // A zombie is dead: it has only not been waited for.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// What the process under test started, as it reports itself: process ids and directories.
struct Started {
    process: Child,
    pids: Vec<u32>,
    directories: Vec<PathBuf>,
}

/// Runs the test below in a process of its own, to the point where its servers are up.
fn start_victim(ending: &str) -> Started {
    let mut command = Command::new(env::current_exe().expect("this test's program"));
    command
        .args(["--exact", "victim", "--nocapture", "--test-threads=1"])
        .env(ROLE, ending);
    let mut process = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a process");
    let mut output = BufReader::new(process.stdout.take().expect("its output"))
        .lines()
        .map_while(std::result::Result::ok);
    let (mut pids, mut directories) = (Vec::new(), Vec::new());
    for line in output.by_ref() {
        // The harness writes the test's name on the same line as our first word.
        if let Some((_, pid)) = line.split_once("pid=") {
            pids.extend(pid.parse::<u32>());
        } else if let Some((_, directory)) = line.split_once("directory=") {
            directories.push(PathBuf::from(directory));
        } else if line.ends_with("ready") {
            break;
        }
    }
    assert_eq!(
        (pids.len(), directories.len()),
        (6, 6),
        "the cluster did not start"
    );
    Started {
        process,
        pids,
        directories,
    }
}

/// Not a test of its own: the process that the other tests end in several ways.
#[test]
fn victim() {
    let Ok(ending) = env::var(ROLE) else { return };
    let cluster = SentinelCluster::start().expect("a cluster");
    let servers = cluster.nodes().iter().map(|node| &**node);
    for server in servers.chain(cluster.sentinels().iter().map(|sentinel| &**sentinel)) {
        println!(
            "\npid={}\ndirectory={}",
            server.pid().unwrap_or_default(),
            server.directory().display()
        );
    }
    println!("ready");
    match ending.as_str() {
        "panic" => panic!("as asked"),
        "exit" => std::process::exit(0),
        _ => std::thread::sleep(Duration::from_secs(600)),
    }
}

fn assert_gone(started: &Started) {
    assert_eventually("all servers to be dead", WITHIN, || {
        !started.pids.iter().any(|pid| alive(*pid))
    });
}

#[test]
fn a_killed_test_leaves_no_process() {
    let mut started = start_victim("wait");
    assert!(started.pids.iter().all(|pid| alive(*pid)));
    started.process.kill().expect("a kill");
    started.process.wait().expect("an end");
    assert_gone(&started);
    for directory in &started.directories {
        let _ = fs::remove_dir_all(directory);
    }
}

#[test]
fn a_test_that_exits_without_cleaning_up_leaves_no_process() {
    let mut started = start_victim("exit");
    started.process.wait().expect("an end");
    assert_gone(&started);
    for directory in &started.directories {
        let _ = fs::remove_dir_all(directory);
    }
}

#[test]
fn a_panicking_test_leaves_neither_process_nor_directory() {
    let mut started = start_victim("panic");
    started.process.wait().expect("an end");
    assert_gone(&started);
    assert!(
        !started
            .directories
            .iter()
            .any(|directory| directory.exists())
    );
}

#[test]
fn a_dropped_server_leaves_neither_process_nor_directory() -> Result<()> {
    let server = RedisServer::start()?;
    let (pid, directory) = (
        server.pid().unwrap_or_default(),
        server.directory().to_owned(),
    );
    assert!(alive(pid) && directory.exists());
    server.pause()?;
    drop(server);
    assert!(!alive(pid) && !Path::exists(&directory));
    Ok(())
}

#[test]
fn a_server_outlives_the_thread_that_started_it() -> Result<()> {
    let server = std::thread::spawn(RedisServer::start)
        .join()
        .expect("no panic")?;
    assert!(server.command(&["PING"]).is_ok());
    Ok(())
}
