//! `leasehold bench`: what it measures on real servers, and that nothing of it stays.

mod common;

use std::process::{Command, Stdio};

use common::{Failure, PATIENCE, code, leasehold, output, server_env, stderr, stdout};
use leasehold_testkit::{ChildProcess, RedisServer, SentinelCluster, wait_for};
use serde_json::Value;

fn bench(variables: &[(String, String)], words: &[&str]) -> Command {
    let mut command = leasehold(variables);
    command.arg("bench").args(words).stdin(Stdio::null());
    command
}

/// Runs it, and checks what is true of every measurement.
fn measured(variables: &[(String, String)], words: &[&str]) -> Result<Value, Failure> {
    let mut command = bench(variables, &["--seconds", "1", "--json"]);
    command.args(words);
    let printed = output(command)?;
    assert_eq!(code(&printed), 0, "{}", stderr(&printed));
    let seen: Value = serde_json::from_str(&stdout(&printed))?;
    for what in ["ping", "acquire", "release", "acquire_and_release"] {
        let number = |name: &str| seen[what][name].as_f64().ok_or(format!("{what}: {seen}"));
        assert!(
            number("count")? > 0.0 && number("per_second")? > 0.0,
            "{seen}"
        );
        assert!(
            number("p50_us")? > 0.0 && number("p50_us")? <= number("p99_us")?,
            "{seen}"
        );
        assert!(number("p99_us")? <= number("max_us")?, "{seen}");
    }
    let count = |what: &str| seen[what]["count"].as_u64();
    assert_eq!(count("acquire"), count("release"));
    assert!(seen["acquire"]["p50_us"].as_u64() <= seen["acquire_and_release"]["p50_us"].as_u64());
    assert!(seen["seconds"].as_f64() >= Some(1.0), "{seen}");
    assert_eq!(seen["failures"], 0, "{seen}");
    Ok(seen)
}

#[test]
fn one_redis_is_measured_and_left_empty() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    let variables = server_env(&server);
    let seen = measured(&variables, &["--tasks", "3"])?;
    assert_eq!(seen["topology"], "standalone");
    assert_eq!(
        (&seen["safety"], &seen["tasks"]),
        (&"relaxed".into(), &3.into())
    );
    // The fence counter belongs to everybody.
    assert_eq!(server.cli(&["KEYS", "*"])?, "leasehold:fence");

    let printed = output(bench(&variables, &["--seconds", "1"]))?;
    let text = stdout(&printed);
    assert!(
        text.starts_with("standalone, relaxed, 1 task over one connection, 1.0s\n"),
        "{text}"
    );
    let rows: Vec<&str> = text
        .lines()
        .skip(2)
        .filter_map(|row| row.split("  ").next())
        .collect();
    assert_eq!(rows, ["PING", "acquire", "release", "acquire + release"]);
    assert_eq!(server.cli(&["KEYS", "*"])?, "leasehold:fence");
    Ok(())
}

#[test]
fn the_master_of_sentinels_is_measured_in_strict_mode() -> Result<(), Failure> {
    let cluster = SentinelCluster::start()?;
    let mut variables = cluster.env();
    // The gate opens after one lease.
    variables.extend(["LOCK_TTL", "LOCK_MAX_TTL"].map(|name| (name.into(), "2s".into())));
    let seen = measured(&variables, &[])?;
    assert_eq!(
        (&seen["topology"], &seen["safety"]),
        (&"sentinel".into(), &"strict".into())
    );
    // Gate and fence counter belong to everybody.
    let keys = cluster.master()?.cli(&["KEYS", "*"])?;
    let mut keys: Vec<&str> = keys.lines().collect();
    keys.sort_unstable();
    assert_eq!(keys, ["leasehold:fence", "leasehold:gate"]);
    Ok(())
}

#[test]
fn an_interrupted_measurement_leaves_nothing() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    let mut command = bench(
        &server_env(&server),
        &["--seconds", "600", "--tasks", "5", "--json"],
    );
    command.stdout(Stdio::piped());
    let running = ChildProcess::spawn(command)?;
    // PING comes first, for a part of the time.
    wait_for("the measurement to begin", PATIENCE, || {
        match running.is_running() {
            true if pings(&server) > Some(100) => Ok(()),
            is_running => Err(format!("running: {is_running}")),
        }
    })?;
    interrupt(&running)?;
    assert_eq!(running.wait(PATIENCE)?.code(), Some(130));
    assert_eq!(server.cli(&["DBSIZE"])?, "0");

    let mut variables = server_env(&server);
    variables.push(("LOCK_KEY_PREFIX".into(), "mine:".into()));
    let mut command = bench(&variables, &["--seconds", "5", "--tasks", "5"]);
    command.stdout(Stdio::piped());
    let running = ChildProcess::spawn(command)?;
    wait_for("locks", PATIENCE, || {
        let keys = server
            .cli(&["KEYS", "*"])
            .map_err(|error| error.to_string())?;
        if keys.contains("mine:leasehold:bench:") {
            Ok(())
        } else {
            Err(keys)
        }
    })?;
    interrupt(&running)?;
    assert_eq!(running.wait(PATIENCE)?.code(), Some(130));
    assert_eq!(server.cli(&["KEYS", "*"])?, "mine:leasehold:fence");
    Ok(())
}

/// How often the server was asked for PING.
fn pings(server: &RedisServer) -> Option<u64> {
    let statistics = server.cli(&["INFO", "commandstats"]).ok()?;
    let line = statistics
        .lines()
        .find(|line| line.starts_with("cmdstat_ping:"))?;
    line.split_once("calls=")?.1.split(',').next()?.parse().ok()
}

fn interrupt(process: &ChildProcess) -> Result<(), Failure> {
    let pid = process.pid().to_string();
    Command::new("kill").args(["-INT", &pid]).status()?;
    Ok(())
}

#[test]
fn what_cannot_be_measured_is_said() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    let mut disabled = server_env(&server);
    disabled.push(("IS_LOCKING_DISABLED".into(), "true".into()));
    assert_eq!(code(&output(bench(&disabled, &[]))?), 78);
    assert_eq!(
        code(&output(bench(&server_env(&server), &["--tasks", "0"]))?),
        64
    );
    let unreachable = common::port_env(1);
    assert_eq!(code(&output(bench(&unreachable, &[]))?), 69);
    Ok(())
}
