//! How evenly contending processes are served.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use leasehold_testkit::RedisServer;

use super::Effort;
use crate::process::{self, Part};
use crate::report::{Figure, Target};
use crate::spread::Spread;
use crate::{Result, ours};

const PROCESSES: usize = 16;
const RESOURCE: &str = "bench:contended";

pub(super) async fn measure(effort: Effort) -> Result<Figure> {
    let server = RedisServer::start()?;
    // Nobody is served before all are there.
    let gate = ours::standalone(&server, &[])
        .await?
        .acquire(RESOURCE)
        .await?;
    let seconds = effort.while_of(6.0).as_secs_f64();
    let arguments = [
        "contend".to_owned(),
        server.port().to_string(),
        seconds.to_string(),
    ];
    let parts: Vec<Part> = (0..PROCESSES)
        .map(|_| Part::start(&arguments))
        .collect::<Result<_>>()?;
    let all_wait = redis::Value::Int(PROCESSES as i64);
    while server.command(&["ZCARD", &format!("{{{RESOURCE}}}:queue")])? != all_wait {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    gate.release().await?;
    let grants: Vec<u64> = try_join_all(parts.into_iter().map(Part::outcome)).await?;

    let mean = grants.iter().sum::<u64>() as f64 / PROCESSES as f64;
    let least = grants.iter().min().copied().unwrap_or_default() as f64;
    let most = grants.iter().max().copied().unwrap_or_default() as f64;
    let case = format!("{PROCESSES} processes, {seconds:.0} s");
    let mut figure = Figure::new("fairness", "is every contending process served alike?");
    let share = Spread::once(least / mean);
    figure.aim(
        &case,
        "least served / mean",
        "",
        share,
        Target::AtLeast(0.9),
    );
    figure.add(&case, "most served / mean", "", Spread::once(most / mean));
    figure.add(
        &case,
        "grants in all",
        "",
        Spread::once(mean * PROCESSES as f64),
    );
    Ok(figure)
}

/// One process: takes and releases the lock until its time is over, counted from its first grant.
pub(super) async fn contend(port: u16, seconds: f64) -> Result<()> {
    let variables = ours::standalone_env(port);
    let config = leasehold::Config::from_vars(variables)?;
    let locker = leasehold::Locker::connect(config).await?;
    locker.acquire(RESOURCE).await?.release().await?;
    let began = Instant::now();
    let mut grants = 1_u64;
    while began.elapsed().as_secs_f64() < seconds {
        locker.acquire(RESOURCE).await?.release().await?;
        grants += 1;
    }
    process::print(&grants)
}
