//! The run without locks: the same workers, and no connection to Redis or Sentinel.

use std::collections::BTreeSet;
use std::error::Error;
use std::net::TcpListener;
use std::time::Duration;

use super::checks::Check;
use super::programs::Worker;
use super::report::Report;
use super::{Stage, play, say, sockets};

const PATIENCE: Duration = Duration::from_secs(120);
const LOUD: &str = "LOCKING IS DISABLED";

/// Each workflow has a warehouse of its own: nothing keeps them apart.
pub(crate) fn run(stage: &Stage<'_>, workflows: usize) -> Result<Vec<Check>, Box<dyn Error>> {
    say(&format!(
        "starting {workflows} workflows with locking disabled"
    ));
    // Whatever is configured must not be connected to.
    let trap = TcpListener::bind("127.0.0.1:0")?;
    trap.set_nonblocking(true)?;
    let trapped = trap.local_addr()?;
    let lines = vec![
        "IS_LOCKING_DISABLED=true".to_owned(),
        format!("REDIS_SENTINEL_HOSTS={trapped}"),
    ];
    let directory = play::directory(stage, "disabled", lines)?;
    let workers = [
        stage.programs.worker("worker-1", &directory)?,
        stage.programs.worker("worker-2", &directory)?,
    ];
    let number = workflows.to_string();
    let variables = [("WORKFLOWS", number.clone()), ("WAREHOUSES", number)];
    let starter = stage.programs.starter(&directory, &variables)?;
    let mut ports = BTreeSet::new();
    while starter.process.is_running() {
        for worker in &workers {
            ports.extend(sockets::remote_ports(worker.process.pid())?);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    starter.finish(PATIENCE)?;
    let complaints: Vec<String> = workers.iter().filter_map(Worker::stop).collect();
    let is_loud = workers.iter().all(|worker| worker.log().contains(LOUD));
    ports.remove(&stage.temporal.port());
    ports.remove(&store_port(&directory)?);
    let is_untouched = trap.accept().is_err() && ports.is_empty();
    let report = Report::read(&directory)?;
    let outcomes = report.outcomes(workflows);
    Ok(vec![
        Check::new(
            outcomes.is_kept,
            format!("locking disabled: {}", outcomes.what),
        ),
        Check::new(
            is_untouched,
            format!(
                "locking disabled: no connection but to Temporal and the store (others: {ports:?})"
            ),
        ),
        Check::new(
            is_loud,
            format!("locking disabled: each worker says {LOUD}"),
        ),
        Check::none(
            &complaints,
            "locking disabled: both workers stopped when they were asked to",
        ),
    ])
}

fn store_port(directory: &std::path::Path) -> Result<u16, Box<dyn Error>> {
    let text = std::fs::read_to_string(directory.join(".env"))?;
    let port = text
        .lines()
        .find_map(|line| line.strip_prefix("WAREHOUSE_STORE=127.0.0.1:"));
    Ok(port.ok_or("no store in .env")?.parse()?)
}
