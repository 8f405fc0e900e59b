//! How evenly contending processes are served.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use leasehold::{Config, Locker};
use leasehold_testkit::RedisServer;

use super::Effort;
use crate::process::{self, Part};
use crate::report::{Figure, Target};
use crate::spread::Spread;
use crate::{Result, ours};

const PROCESSES: usize = 16;
const MEMBERS: usize = 3;
const RESOURCE: &str = "bench:contended";
/// After so long the processes begin even if not all of them are seen to wait.
const GATHERING: Duration = Duration::from_secs(20);

/// Where a part finds its store.
const STANDALONE: &str = "standalone";
const QUORUM: &str = "quorum";

pub(super) async fn measure(effort: Effort) -> Result<Figure> {
    let mut figure = Figure::new("fairness", "is every contending process served alike?");
    let server = RedisServer::start()?;
    let locker = ours::standalone(&server, &[]).await?;
    let (port, length) = (server.port().to_string(), effort.while_of(6.0));
    let grants = contention(&locker, &server, [STANDALONE, &port], length).await?;
    report(&mut figure, "one Redis", length, &grants);

    let servers = (0..MEMBERS)
        .map(|_| RedisServer::start())
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let urls: Vec<String> = servers.iter().map(|server| server.url()).collect();
    let (locker, urls) = (ours::quorum(&urls).await?, urls.join(","));
    let grants = contention(&locker, &servers[0], [QUORUM, &urls], length).await?;
    report(&mut figure, "quorum of 3", length, &grants);
    Ok(figure)
}

/// How often each process was granted the lock.
async fn contention(
    locker: &Locker,
    server: &RedisServer,
    store: [&str; 2],
    length: Duration,
) -> Result<Vec<u64>> {
    // Nobody is served before all are there.
    let gate = locker.acquire(RESOURCE).await?;
    let seconds = length.as_secs_f64().to_string();
    let arguments = ["contend", store[0], store[1], &seconds].map(str::to_owned);
    let parts: Vec<Part> = (0..PROCESSES)
        .map(|_| Part::start(&arguments))
        .collect::<Result<_>>()?;
    let (all_wait, began) = (redis::Value::Int(PROCESSES as i64), Instant::now());
    while began.elapsed() < GATHERING
        && server.command(&["ZCARD", &format!("{{{RESOURCE}}}:queue")])? != all_wait
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    gate.release().await?;
    try_join_all(parts.into_iter().map(Part::outcome)).await
}

fn report(figure: &mut Figure, store: &str, length: Duration, grants: &[u64]) {
    let all = grants.iter().sum::<u64>() as f64;
    let mean = all / PROCESSES as f64;
    let least = grants.iter().min().copied().unwrap_or_default() as f64;
    let most = grants.iter().max().copied().unwrap_or_default() as f64;
    let case = format!("{store}, {PROCESSES} processes, {} s", length.as_secs());
    let share = Spread::once(least / mean);
    figure.aim(
        &case,
        "least served / mean",
        "",
        share,
        Target::AtLeast(0.9),
    );
    figure.add(&case, "most served / mean", "", Spread::once(most / mean));
    figure.add(&case, "grants in all", "", Spread::once(all));
}

/// One process: takes and releases the lock until its time is over, counted from its first grant.
pub(super) async fn contend(store: &str, address: &str, seconds: f64) -> Result<()> {
    let variables = match store {
        QUORUM => ours::quorum_env(address),
        _ => ours::standalone_env(address.parse()?),
    };
    let locker = Locker::connect(Config::from_vars(variables)?).await?;
    locker.acquire(RESOURCE).await?.release().await?;
    let began = Instant::now();
    let mut grants = 1_u64;
    while began.elapsed().as_secs_f64() < seconds {
        locker.acquire(RESOURCE).await?.release().await?;
        grants += 1;
    }
    process::print(&grants)
}
