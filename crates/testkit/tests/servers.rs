//! One server: what each way of ending and starting it does to its process, its port and its data.

use std::{
    collections::BTreeSet,
    env, fs,
    process::Command,
    time::{Duration, Instant},
};

use leasehold_testkit::{Error, RedisServer, Result, Role, SERVER_VARIABLE, assert_eventually};
use redis::Value;

const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_killed_server_comes_back_empty_on_the_same_port() -> Result<()> {
    let server = RedisServer::start()?;
    let port = server.port();
    server.command(&["SET", "key", "value"])?;
    server.kill();
    assert!(!server.is_running());
    assert!(server.command(&["PING"]).is_err());
    server.restart()?;
    assert_eq!(server.port(), port);
    assert_eq!(server.role()?, Role::Master);
    assert_eq!(server.command(&["GET", "key"])?, Value::Nil);
    Ok(())
}

#[test]
fn a_paused_server_is_silent_until_it_is_resumed() -> Result<()> {
    let server = RedisServer::start()?;
    server.pause()?;
    assert!(server.is_running() && server.is_paused());
    let started = Instant::now();
    assert!(server.command(&["PING"]).is_err());
    assert!(started.elapsed() < Duration::from_secs(5));
    server.resume()?;
    assert_eq!(
        server.command(&["PING"])?,
        Value::SimpleString("PONG".to_owned())
    );
    Ok(())
}

#[test]
fn an_append_only_file_survives_a_kill_and_not_an_empty_restart() -> Result<()> {
    let server = RedisServer::builder().append_only(true).start()?;
    server.command(&["SET", "key", "value"])?;
    server.kill();
    server.restart()?;
    assert_eq!(server.cli(&["GET", "key"])?, "value");
    server.restart_empty()?;
    assert_eq!(server.cli(&["GET", "key"])?, "");
    Ok(())
}

#[test]
fn a_snapshot_survives_an_orderly_shutdown() -> Result<()> {
    let server = RedisServer::builder().persistence(true).start()?;
    server.command(&["SET", "key", "value"])?;
    server.shutdown()?;
    assert!(!server.is_running());
    assert!(matches!(server.shutdown(), Err(Error::NotRunning { .. })));
    server.restart()?;
    assert_eq!(server.cli(&["GET", "key"])?, "value");
    Ok(())
}

#[test]
fn a_replica_follows_its_master() -> Result<()> {
    let master = RedisServer::builder().password("p w").start()?;
    let replica = RedisServer::builder()
        .password("p w")
        .replica_of(master.host(), master.port())
        .start()?;
    replica.wait_for_role(Role::Replica, LONG)?;
    assert_eventually("the link to be up", LONG, || {
        replica
            .follows()
            .is_ok_and(|port| port == Some(master.port()))
    });
    master.command(&["SET", "key", "value"])?;
    master.wait_for_replicas(1, LONG)?;
    assert_eq!(replica.cli(&["GET", "key"])?, "value");
    let refused = replica.command(&["SET", "key", "other"]);
    assert!(refused.is_err_and(|error| error.to_string().contains("read only")));
    master.flush()?;
    assert_eventually("the flush to arrive", LONG, || {
        replica
            .cli(&["GET", "key"])
            .is_ok_and(|value| value.is_empty())
    });
    Ok(())
}

#[test]
fn servers_started_at_once_get_ports_of_their_own() -> Result<()> {
    let servers = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..10).map(|_| scope.spawn(RedisServer::start)).collect();
        starts
            .into_iter()
            .map(|start| start.join().expect("no panic"))
            .collect::<Result<Vec<_>>>()
    })?;
    let ports: BTreeSet<u16> = servers.iter().map(|server| server.port()).collect();
    assert_eq!(ports.len(), servers.len());
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first: u16 = range
        .split_whitespace()
        .next()
        .and_then(|first| first.parse().ok())
        .unwrap_or(u16::MAX);
    assert!(
        ports.iter().all(|port| *port < first),
        "a client could take such a port while its server is dead"
    );
    Ok(())
}

#[test]
fn a_bad_directive_is_reported_with_the_servers_own_words() {
    let error = RedisServer::builder()
        .config("no-such-directive", "1")
        .start()
        .expect_err("it cannot start");
    let text = error.to_string();
    assert!(
        text.contains("did not become ready") && text.contains("no-such-directive"),
        "{text}"
    );
}

#[test]
fn a_port_that_is_taken_is_reported_when_it_was_chosen() -> Result<()> {
    let server = RedisServer::start()?;
    let error = RedisServer::builder()
        .port(server.port())
        .start()
        .expect_err("it cannot start");
    assert!(
        error.to_string().contains("Address already in use"),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_missing_program_is_named_with_the_line_that_installs_it() {
    let error = RedisServer::builder()
        .binary("/nowhere/redis-server")
        .start()
        .expect_err("it cannot start");
    assert_eq!(
        error.to_string(),
        "`/nowhere/redis-server` was not found. Install it: apt-get install redis-server redis-sentinel"
    );
}

#[test]
fn a_wait_in_vain_says_what_was_seen_instead() -> Result<()> {
    let server = RedisServer::start()?;
    let error = server
        .wait_for_role(Role::Replica, Duration::from_millis(20))
        .expect_err("it is a master");
    let expected = format!(
        "waited 20ms for redis-server {} to be replica, in vain: it is master",
        server.address()
    );
    assert_eq!(error.to_string(), expected);
    Ok(())
}

/// Run by the test below in a process with another environment.
#[test]
fn start_with_the_server_of_the_environment() {
    if env::var_os(SERVER_VARIABLE).is_some_and(|path| path == "/nowhere/valkey-server") {
        let error = RedisServer::start().expect_err("there is no such program");
        println!("\n{error}");
    }
}

#[test]
fn the_environment_names_another_server_program() {
    let mut command = Command::new(env::current_exe().expect("this test's program"));
    command.args([
        "--exact",
        "start_with_the_server_of_the_environment",
        "--nocapture",
    ]);
    let output = command
        .env(SERVER_VARIABLE, "/nowhere/valkey-server")
        .output()
        .expect("a run");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("`/nowhere/valkey-server` was not found"),
        "{text}"
    );
}
