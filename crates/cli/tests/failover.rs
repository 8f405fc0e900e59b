//! `leasehold failover`: leases go on over it, and it refuses where new ones would have to wait.

mod common;

use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{Failure, PATIENCE, code, leasehold, output, stderr, stdout};
use leasehold::{Config, Locker};
use leasehold_testkit::{ChildProcess, RedisServer, SentinelCluster, wait_for};

type Variables = Vec<(String, String)>;

fn cluster() -> Result<SentinelCluster, Failure> {
    let cluster = SentinelCluster::builder()
        .node_config("appendonly", "yes")
        .node_config("repl-ping-replica-period", "10")
        .down_after(Duration::from_secs(5))
        .failover_timeout(Duration::from_secs(20))
        .fast_periods(false)
        .start()?;
    cluster.wait_until_stable()?;
    Ok(cluster)
}

fn variables(cluster: &SentinelCluster) -> Variables {
    let mut variables: Variables = [
        ("LOCK_TTL", "6s"),
        ("LOCK_MAX_TTL", "6s"),
        ("LOCK_SAFETY", "strict"),
        ("REDIS_COMMAND_TIMEOUT", "500ms"),
        ("REDIS_CONNECT_TIMEOUT", "1s"),
        ("IS_LOCKING_DISABLED", "false"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    variables.extend(cluster.env());
    variables
}

fn command(variables: &Variables, words: &[&str]) -> Command {
    let mut command = leasehold(variables);
    command.args(words);
    command
}

/// Leases that are held all the time, and others that are taken and released.
struct Load {
    is_over: Arc<AtomicBool>,
    granted: Arc<AtomicU64>,
    worker: thread::JoinHandle<Result<Vec<String>, String>>,
}

impl Load {
    fn start(variables: &Variables) -> Self {
        let (is_over, granted) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let told = (is_over.clone(), granted.clone());
        let variables = variables.clone();
        let worker = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = runtime.map_err(|error| error.to_string())?;
            let work = work(&variables, &told.0, &told.1);
            runtime.block_on(work).map_err(|error| error.to_string())
        });
        Self {
            is_over,
            granted,
            worker,
        }
    }

    fn wait_for_grants(&self, more: u64) -> Result<(), Failure> {
        let before = self.granted.load(Ordering::Relaxed);
        wait_for("new leases", PATIENCE, || {
            let now = self.granted.load(Ordering::Relaxed);
            if now >= before + more {
                Ok(())
            } else {
                Err(format!("{} were granted", now - before))
            }
        })?;
        Ok(())
    }

    /// Returns the leases that were lost.
    fn end(self) -> Result<Vec<String>, Failure> {
        self.is_over.store(true, Ordering::Relaxed);
        let ended = self.worker.join().map_err(|_| "the load panicked")?;
        Ok(ended?)
    }
}

async fn work(
    variables: &Variables,
    is_over: &AtomicBool,
    granted: &AtomicU64,
) -> Result<Vec<String>, leasehold::Error> {
    let mut builder = Config::builder();
    for (name, value) in variables {
        builder = builder.set(name, value);
    }
    let locker = Locker::connect(builder.build()?).await?;
    let mut held = Vec::new();
    for number in 0..10 {
        held.push(locker.acquire(format!("held-{number}")).await?);
    }
    let mut number = 0;
    while !is_over.load(Ordering::Relaxed) {
        number += 1;
        let taken = locker.acquire(format!("taken-{}", number % 50)).await;
        if let Ok(lease) = taken {
            granted.fetch_add(1, Ordering::Relaxed);
            let _ = lease.release().await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let lost = held.iter().filter(|lease| lease.check().is_err());
    Ok(lost.map(|lease| lease.resource().to_string()).collect())
}

/// Waits until a failover would be made.
fn wait_until_ready(variables: &Variables) -> Result<(), Failure> {
    wait_for("a failover to be possible", 3 * PATIENCE, || {
        let ended = output(command(variables, &["failover", "--dry-run"]));
        let ended = ended.map_err(|error| error.to_string())?;
        match code(&ended) {
            0 => Ok(()),
            _ => Err(stderr(&ended)),
        }
    })?;
    Ok(())
}

/// Tries again where it is refused: the Sentinels complete a failover after the master was replaced.
fn failover(variables: &Variables) -> Result<Output, Failure> {
    let ended = wait_for("a failover to be possible", 3 * PATIENCE, || {
        let ended = output(command(variables, &["failover", "--json"]));
        let ended = ended.map_err(|error| error.to_string())?;
        match code(&ended) {
            1 => Err(stdout(&ended)),
            _ => Ok(ended),
        }
    })?;
    Ok(ended)
}

/// What the servers say of a failover that did not succeed.
fn print_logs(cluster: &SentinelCluster) {
    for sentinel in cluster.sentinels() {
        println!("{}:\n{}", sentinel.address(), sentinel.log_tail());
    }
    for node in cluster.nodes() {
        println!("{}:\n{}", node.address(), node.log_tail());
    }
}

/// How many times in a row; the figures of the documentation are of twenty.
fn times() -> usize {
    let asked = std::env::var("LEASEHOLD_FAILOVERS").ok();
    asked.and_then(|asked| asked.parse().ok()).unwrap_or(5)
}

#[test]
fn planned_failovers_in_a_row_lose_no_lease_and_open_the_gate_at_once() -> Result<(), Failure> {
    let cluster = cluster()?;
    let variables = variables(&cluster);
    let load = Load::start(&variables);
    let mut failed = Vec::new();
    for number in 1..=times() {
        load.wait_for_grants(20)?;
        let began = Instant::now();
        let ended = failover(&variables)?;
        let told = stdout(&ended);
        println!(
            "{number}: {:.1?} {}{}",
            began.elapsed(),
            told,
            stderr(&ended)
        );
        let document: serde_json::Value = serde_json::from_str(&told).unwrap_or_default();
        if code(&ended) != 0
            || document["opened_at_once"] != true
            || document["old"] == document["new"]
        {
            failed.push(format!("{number}: {told}{}", stderr(&ended)));
            print_logs(&cluster);
            break;
        }
    }
    load.wait_for_grants(20)?;
    let lost = load.end()?;
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert!(failed.is_empty(), "{failed:?}");
    Ok(())
}

fn refused(variables: &Variables, expected: &[&str]) -> Result<(), Failure> {
    let ended = output(command(variables, &["failover"]))?;
    let told = stderr(&ended);
    assert_eq!(code(&ended), 1, "{told}{}", stdout(&ended));
    for part in expected {
        assert!(told.contains(part), "{part} in {told}");
    }
    Ok(())
}

#[test]
fn it_refuses_where_new_leases_would_have_to_wait() -> Result<(), Failure> {
    let cluster = cluster()?;
    let variables = variables(&cluster);
    refused(&variables, &["the gate of strict mode is not open"])?;
    let load = Load::start(&variables);
    load.wait_for_grants(1)?;
    wait_until_ready(&variables)?;
    let master = cluster.master_index()?;
    let replica = cluster.node(cluster.replica_indices()?[0]);

    // A replica that hangs is still listed as online, and cannot be asked.
    replica.pause()?;
    refused(&variables, &[&replica.address(), "might be promoted"])?;
    replica.resume()?;

    replica.kill();
    refused(
        &variables,
        &["1 of 3 data nodes are replicas", &replica.address()],
    )
    .or_else(|_| refused(&variables, &[&replica.address()]))?;

    replica.restart()?;
    cluster.master()?.wait_for_replicas(2, PATIENCE)?;
    let mut long = variables.clone();
    long.push(("LOCK_MAX_TTL".to_owned(), "1h".to_owned()));
    refused(
        &long,
        &["it is up for", "less than the longest lease of 1h"],
    )?;
    load.end()?;
    assert_eq!(cluster.master_index()?, master, "nothing was changed");
    Ok(())
}

/// These Sentinels ask each replica every 100 ms, so no moment is the best one.
#[test]
fn it_refuses_where_the_pause_could_cost_a_short_lease() -> Result<(), Failure> {
    let cluster = SentinelCluster::builder()
        .node_config("appendonly", "yes")
        .down_after(Duration::from_secs(5))
        .start()?;
    cluster.wait_until_stable()?;
    let mut variables = variables(&cluster);
    variables.push(("LOCK_TTL".to_owned(), "3s".to_owned()));
    let load = Load::start(&variables);
    load.wait_for_grants(1)?;
    wait_until_ready(&variables)?;
    let master = cluster.master_index()?;
    refused(
        &variables,
        &["leases with LOCK_TTL 3.0s could be lost", "raise LOCK_TTL"],
    )?;
    assert_eq!(cluster.master_index()?, master, "nothing was changed");
    load.end()?;
    Ok(())
}

/// The Sentinel that made a failover waits for the last replica before it ends it. A failover by another one would set
/// them at odds: it would announce its own master with the epoch of the other.
#[test]
fn it_refuses_while_a_sentinel_is_completing_another() -> Result<(), Failure> {
    let cluster = cluster()?;
    let variables = variables(&cluster);
    let replicas = cluster.replica_indices()?;
    let (promoted, slow) = (cluster.node(replicas[0]), cluster.node(replicas[1]));
    slow.command(&["CONFIG", "SET", "replica-priority", "0"])?;
    let [busy, rest @ ..] = cluster.sentinels() else {
        return Err("no Sentinels".into());
    };
    wait_for("the Sentinels to read the priority", PATIENCE, || {
        let replicas = busy.replicas().map_err(|error| error.to_string())?;
        let is_read = |replica: &BTreeMap<String, String>| replica["slave-priority"] == "0";
        let is_read = replicas.iter().any(is_read);
        is_read.then_some(()).ok_or(format!("{replicas:?}"))
    })?;
    slow.pause()?;
    busy.command(&["SENTINEL", "FAILOVER", cluster.service()])?;
    for sentinel in rest {
        wait_for("the other Sentinels to follow", PATIENCE, || {
            let named = sentinel.master_address();
            let named = named.map_err(|error| error.to_string())?;
            let is_promoted = named
                .as_ref()
                .is_some_and(|(_, port)| *port == promoted.port());
            is_promoted.then_some(()).ok_or(format!("{named:?}"))
        })?;
    }
    let told = format!(
        "the Sentinel {} is still completing a failover: wait until it has",
        busy.address()
    );
    refused(&variables, &[&told])?;
    slow.resume()?;
    wait_for("the failover to end", 2 * PATIENCE, || {
        let ended = output(command(&variables, &["failover", "--dry-run"]));
        let reasons = stderr(&ended.map_err(|error| error.to_string())?);
        (!reasons.contains(&told)).then_some(()).ok_or(reasons)
    })?;
    Ok(())
}

#[test]
fn it_needs_sentinel() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    let ended = output(command(&common::server_env(&server), &["failover"]))?;
    assert_eq!(code(&ended), 78);
    assert!(stderr(&ended).contains("a failover needs Sentinel"));
    Ok(())
}

#[test]
fn it_names_the_user_who_may_do_it() -> Result<(), Failure> {
    let cluster = cluster()?;
    let rights = ["on", ">secret", "~*", "&*", "+@all", "-client|pause"];
    for node in cluster.nodes() {
        node.command(&[["ACL", "SETUSER", "limited"].as_slice(), &rights].concat())?;
    }
    let mut variables = variables(&cluster);
    for (name, value) in [("REDIS_USERNAME", "limited"), ("REDIS_PASSWORD", "secret")] {
        variables.push((name.to_owned(), value.to_owned()));
    }
    let ended = output(command(&variables, &["failover"]))?;
    let told = stderr(&ended);
    assert_eq!(code(&ended), 77, "{told}");
    assert!(told.contains("REDIS_USERNAME=admin"), "{told}");
    assert!(!told.contains("secret"), "{told}");
    Ok(())
}

/// How often a node was asked for something.
fn calls(cluster: &SentinelCluster, node: usize, command: &str) -> Result<u64, Failure> {
    let told = format!(
        "{:?}",
        cluster.node(node).command(&["INFO", "commandstats"])?
    );
    let calls = told.split_once(&format!("cmdstat_{command}:calls="));
    let calls = calls.and_then(|(_, rest)| rest.split(',').next()?.parse().ok());
    Ok(calls.unwrap_or_default())
}

#[test]
fn ctrl_c_resumes_writes() -> Result<(), Failure> {
    let cluster = cluster()?;
    let variables = variables(&cluster);
    let load = Load::start(&variables);
    load.wait_for_grants(1)?;
    wait_until_ready(&variables)?;
    let old = cluster.master_index()?;
    let pauses = calls(&cluster, old, "client|pause")?;
    let child = ChildProcess::spawn(command(&variables, &["failover"]))?;
    // The first is of the checks.
    wait_for("writes to be paused", PATIENCE, || {
        let now = calls(&cluster, old, "client|pause").map_err(|error| error.to_string())?;
        (now >= pauses + 2)
            .then_some(())
            .ok_or(format!("{now} pauses"))
    })?;
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.pid())?).ok_or("no process")?;
    rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
    let ended = child.wait(PATIENCE)?;
    assert_eq!(ended.code(), Some(130));
    assert_eq!(calls(&cluster, old, "client|unpause")?, 1);
    load.wait_for_grants(1)?;
    load.end()?;
    Ok(())
}
