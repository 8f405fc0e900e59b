//! The run with faults.

use std::error::Error;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use leasehold_testkit::{SentinelCluster, wait_until};

use super::checks::Check;
use super::programs::{Starter, Worker};
use super::report::Report;
use super::server::free_port;
use super::{Stage, overhead, say};

/// Short, so that the pause that strict mode makes after a failover is short, too.
const LEASE: &str = "5s";
const DOWN_AFTER: Duration = Duration::from_millis(500);
/// How long the servers and the workflows may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(240);
/// How long the keys of the last lease may stay after the last workflow.
const CLEAN_WITHIN: Duration = Duration::from_secs(1);

/// Runs the workflows while a worker and the master die and a workflow is cancelled.
pub(crate) fn with_faults(
    stage: &Stage<'_>,
    workflows: usize,
) -> Result<Vec<Check>, Box<dyn Error>> {
    say("starting one master, two replicas and three Sentinels");
    let cluster = SentinelCluster::builder().down_after(DOWN_AFTER).start()?;
    let directory = write_env(stage, &cluster)?;
    let mut first = stage.programs.worker("worker-1", &directory)?;
    let second = stage.programs.worker("worker-2", &directory)?;
    say(&format!("starting {workflows} workflows"));
    // Long enough for some to wait, and to say so, until the last fault has happened.
    let rows = if workflows < 50 { 40 } else { 30 };
    let variables = [
        ("WORKFLOWS", workflows.to_string()),
        ("ROWS", rows.to_string()),
        ("CANCEL_ONE", "true".to_owned()),
    ];
    let starter = stage.programs.starter(&directory, &variables)?;
    kill_inside_an_activity(&starter, &first)?;
    let before = holdings(&starter);
    first = stage.programs.worker("worker-1", &directory)?;
    kill_the_master(&starter, &cluster, before + 3)?;
    starter.finish(PATIENCE)?;
    let left = leftovers(&cluster);
    for line in picture(&starter.lines()) {
        println!("{line}");
    }
    let report = Report::read(&directory)?;
    let mut checks = vec![
        report.exclusion(),
        report.fences(),
        report.outcomes(workflows),
        report.cut_off("worker-1"),
        report.cancellation(),
        Check::none(&left, "nothing left in Redis a second after the end"),
    ];
    let mut complaints: Vec<String> = second.stop().into_iter().collect();
    let figure = overhead::measure(stage, &directory, &first)?;
    complaints.extend(first.stop());
    checks.push(Check::none(
        &complaints,
        "both workers stopped when they were asked to",
    ));
    checks.push(figure.read(&first.log()));
    Ok(checks)
}

/// The directory of the run, with what workers and starter find in their `.env`.
fn write_env(stage: &Stage<'_>, cluster: &SentinelCluster) -> Result<PathBuf, Box<dyn Error>> {
    let mut lines = vec![
        "IS_LOCKING_DISABLED=false".to_owned(),
        format!("LOCK_TTL={LEASE}"),
        format!("LOCK_MAX_TTL={LEASE}"),
    ];
    let variables = cluster.env();
    lines.extend(
        variables
            .iter()
            .map(|(name, value)| format!("{name}={value}")),
    );
    directory(stage, "faults", lines)
}

/// A directory with an `.env` of these lines and the addresses.
pub(crate) fn directory(
    stage: &Stage<'_>,
    name: &str,
    mut lines: Vec<String>,
) -> Result<PathBuf, Box<dyn Error>> {
    let directory = stage.directory.join(name);
    std::fs::create_dir(&directory)?;
    lines.push(format!(
        "TEMPORAL_ADDRESS=http://127.0.0.1:{}",
        stage.temporal.port()
    ));
    lines.push(format!("TEMPORAL_TASK_QUEUE={name}"));
    lines.push(format!("WAREHOUSE_STORE=127.0.0.1:{}", free_port()?));
    std::fs::write(directory.join(".env"), lines.join("\n") + "\n")?;
    Ok(directory)
}

/// Its activity dies with it, and so does its lease's renewal.
fn kill_inside_an_activity(starter: &Starter, worker: &Worker) -> Result<(), Box<dyn Error>> {
    let holds = |line: &String| line.contains(" holds ") && line.ends_with("on worker-1");
    let is_holding = || starter.lines().last().is_some_and(holds);
    wait_until("worker-1 to hold a lock", PATIENCE, is_holding)?;
    worker.process.kill();
    say("killed worker-1 inside an activity (SIGKILL)");
    Ok(())
}

/// Once there were this many holdings.
fn kill_the_master(
    starter: &Starter,
    cluster: &SentinelCluster,
    after: usize,
) -> Result<(), Box<dyn Error>> {
    let has_moved = || holdings(starter) >= after || !starter.process.is_running();
    wait_until("some more holders", PATIENCE, has_moved)?;
    if !starter.process.is_running() {
        return Err("the workflows ended before the master could be killed".into());
    }
    say("killing the master (SIGKILL)");
    let old = cluster.kill_master()?;
    let new = cluster.wait_for_new_master(old)?;
    say(&format!(
        "the Sentinels promoted node {new}; the old master comes back"
    ));
    cluster.node(old).restart()?;
    Ok(())
}

fn holdings(starter: &Starter) -> usize {
    let lines = starter.lines();
    lines.iter().filter(|line| line.contains(" holds ")).count()
}

/// The keys that stay: the fence counters and the gate's record are meant to.
fn leftovers(cluster: &SentinelCluster) -> Vec<String> {
    let end = Instant::now() + CLEAN_WITHIN;
    loop {
        let keys = cluster
            .master()
            .and_then(|master| master.cli(&["KEYS", "*"]));
        let left: Vec<String> = match keys {
            Ok(keys) => keys
                .lines()
                .filter(|key| !is_kept(key))
                .map(str::to_owned)
                .collect(),
            Err(error) => vec![error.to_string()],
        };
        if left.is_empty() || Instant::now() > end {
            return left;
        }
        sleep(Duration::from_millis(50));
    }
}

fn is_kept(key: &str) -> bool {
    key.is_empty()
        || key.starts_with("leasehold:gate")
        || key.starts_with("leasehold:fence")
        || key.ends_with(":fence")
}

/// The timeline that the starter drew.
fn picture(lines: &[String]) -> Vec<String> {
    let lines = lines.iter();
    let lines = lines.filter(|line| line.starts_with("warehouse-") || line.contains("x = cut off"));
    lines.cloned().collect()
}
