//! The run with faults.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use leasehold_testkit::SentinelCluster;

use super::checks::Check;
use super::programs::{Starter, Worker};
use super::report::Report;
use super::server::free_port;
use super::{Stage, say};

/// Short, so that the pause that strict mode makes after a failover is short, too.
const LEASE: &str = "5s";
const DOWN_AFTER: Duration = Duration::from_millis(500);
/// How long the servers and the workflows may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(240);
/// How long the store may take to notice that a holder is gone.
const NOTICED_WITHIN: Duration = Duration::from_secs(5);
/// How long the keys of the last lease may stay after the last workflow.
const CLEAN_WITHIN: Duration = Duration::from_secs(1);

/// Runs at least this number of workflows while a worker and the master die and one is cancelled. The
/// starter replaces those that have ended until the last fault is over, so that each fault meets
/// some at work, however slow the machine is.
pub(crate) fn with_faults(
    stage: &Stage<'_>,
    workflows: usize,
) -> Result<Vec<Check>, Box<dyn Error>> {
    say("starting one master, two replicas and three Sentinels");
    let cluster = SentinelCluster::builder().down_after(DOWN_AFTER).start()?;
    let directory = write_env(stage, "faults", &cluster)?;
    let first = stage.programs.worker("worker-1", &directory)?;
    let second = stage.programs.worker("worker-2", &directory)?;
    say(&format!("starting {workflows} workflows"));
    let variables = [
        ("WORKFLOWS", workflows.to_string()),
        ("STEPS", "true".to_owned()),
    ];
    let starter = stage.programs.starter(&directory, &variables)?;
    let first = kill_inside_an_activity(stage, &directory, &starter, first)?;
    say("cancelling a workflow that waits");
    starter.tell("cancel")?;
    starter.wait_for_lines("a cancelled workflow", PATIENCE, |lines| {
        lines.iter().any(|line| line.starts_with("cancelled "))
    })?;
    kill_the_master(&starter, &cluster)?;
    starter.tell("enough")?;
    starter.finish(PATIENCE)?;
    let left = leftovers(&cluster);
    for line in picture(&starter.lines()) {
        println!("{line}");
    }
    let report = Report::read(&directory)?;
    let complaints: Vec<String> = [first, second].iter().filter_map(Worker::stop).collect();
    Ok(vec![
        report.exclusion(),
        report.fences(),
        report.outcomes(workflows),
        report.cut_off("worker-1"),
        report.cancellation(),
        Check::none(&left, "nothing left in Redis a second after the end"),
        Check::none(&complaints, "both workers stopped when they were asked to"),
    ])
}

/// The directory of the run, with what workers and starter find in their `.env`.
pub(crate) fn write_env(
    stage: &Stage<'_>,
    name: &str,
    cluster: &SentinelCluster,
) -> Result<PathBuf, Box<dyn Error>> {
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
    directory(stage, name, lines)
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

/// Its activity dies with it, and so does its lease's renewal. Another worker takes its place.
fn kill_inside_an_activity(
    stage: &Stage<'_>,
    directory: &Path,
    starter: &Starter,
    mut worker: Worker,
) -> Result<Worker, Box<dyn Error>> {
    loop {
        let before = starter.lines().len();
        starter.wait_for_lines("worker-1 to hold a lock", PATIENCE, |lines| {
            let mut news = lines[before..].iter();
            news.any(|line| line.contains(" holds ") && line.ends_with("on worker-1"))
        })?;
        worker.process.kill();
        // Unless its activity has just ended.
        let is_cut_off = starter.wait_for_lines("the store to notice", NOTICED_WITHIN, |lines| {
            let mut news = lines[before..].iter();
            news.any(|line| line.ends_with(" was cut off on worker-1"))
        });
        worker = stage.programs.worker("worker-1", directory)?;
        if is_cut_off.is_ok() {
            say("killed worker-1 inside an activity (SIGKILL)");
            return Ok(worker);
        }
    }
}

/// Between workflows that hold locks on the old master and such that do on the new one.
fn kill_the_master(starter: &Starter, cluster: &SentinelCluster) -> Result<(), Box<dyn Error>> {
    some_more_holders(starter)?;
    say("killing the master (SIGKILL)");
    let old = cluster.kill_master()?;
    let new = cluster.wait_for_new_master(old)?;
    say(&format!(
        "the Sentinels promoted node {new}; the old master comes back"
    ));
    cluster.node(old).restart()?;
    some_more_holders(starter)
}

fn some_more_holders(starter: &Starter) -> Result<(), Box<dyn Error>> {
    let before = holdings(&starter.lines());
    starter.wait_for_lines("some more holders", PATIENCE, |lines| {
        holdings(lines) >= before + 3
    })
}

fn holdings(lines: &[String]) -> usize {
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
