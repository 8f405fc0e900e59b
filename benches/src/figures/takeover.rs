//! Strict mode with its default settings: from the death of a master to the first grant by the next one, and how often
//! that takes no pause.

use std::time::{Duration, Instant};

use leasehold::Locker;
use leasehold_testkit::{RedisServer, SentinelCluster, wait_until};
use tokio::task::block_in_place;

use super::failover::{Attempts, announcements, next};
use super::{Effort, deposing};
use crate::report::{Figure, Target};
use crate::spread::Spread;
use crate::{Error, Result, ours};

/// The default of `LOCK_MAX_TTL`.
const LONGEST: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(90);
/// Of each kind; a run that is not shortened makes four times as many.
const FEWEST: usize = 5;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Clocks {
    /// The client knew the former master.
    Known,
    /// It comes when the master has died.
    Unknown,
}

/// What one failover came to.
struct Outcome {
    milliseconds: f64,
    is_fast: bool,
}

pub(super) async fn measure(effort: Effort) -> Result<Figure> {
    let failovers = if effort.rounds > 5 {
        4 * FEWEST
    } else {
        FEWEST
    };
    let node = RedisServer::builder().append_only(true);
    let starting = SentinelCluster::builder().node(node);
    let cluster = block_in_place(|| starting.start())?;
    let question =
        "how long from a master's death to the next grant, and how often without a pause?";
    let mut figure = Figure::new("takeover", question);
    let killed = [
        (
            Clocks::Known,
            "SIGKILL, the clocks' difference is known",
            150.0,
        ),
        (
            Clocks::Unknown,
            "SIGKILL, LOCK_MAX_CLOCK_SKEW as it is",
            700.0,
        ),
    ];
    for (clocks, case, at_most) in killed {
        let mut outcomes = Vec::new();
        for round in 0..failovers {
            outcomes.push(kill(&cluster, clocks, round).await?);
        }
        add(&mut figure, case, &outcomes, Some(at_most));
    }
    let mut outcomes = Vec::new();
    for round in 0..failovers {
        outcomes.push(depose(&cluster, round).await?);
    }
    add(&mut figure, "SENTINEL FAILOVER under load", &outcomes, None);
    Ok(figure)
}

fn add(figure: &mut Figure, case: &str, outcomes: &[Outcome], at_most: Option<f64>) {
    let case = format!("{case}, {} times", outcomes.len());
    let times = Spread::of(outcomes.iter().map(|outcome| outcome.milliseconds));
    let measure = "second of three Sentinels' +switch-master to first grant";
    match at_most {
        Some(bound) => figure.aim(&case, measure, "ms", times, Target::AtMost(bound)),
        None => figure.add(&case, measure, "ms", times),
    }
    let fast = outcomes.iter().filter(|outcome| outcome.is_fast).count();
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let share = Spread::once(fast as f64 / outcomes.len() as f64);
    figure.add(&case, "share without a pause", "", share);
}

async fn strict(cluster: &SentinelCluster) -> Result<Locker> {
    let default = [
        ("LOCK_SAFETY", "strict"),
        ("LOCK_TTL", "30s"),
        ("LOCK_MAX_TTL", "30s"),
    ];
    let until = Instant::now() + PATIENCE;
    loop {
        match ours::sentinel(cluster, &default).await {
            // The Sentinels name a dead master for a while.
            Err(_) if Instant::now() < until => tokio::time::sleep(Duration::from_millis(20)).await,
            connected => return connected,
        }
    }
}

/// Waits until the gate is open, and the servers are up for longer than the longest lease.
async fn ready(cluster: &SentinelCluster) -> Result<Locker> {
    let is_warm = |node: &RedisServer| {
        let info = node.info("server").unwrap_or_default();
        let uptime = info.get("uptime_in_seconds");
        let uptime = uptime.and_then(|uptime| uptime.parse::<u64>().ok());
        uptime.is_some_and(|uptime| uptime > LONGEST.as_secs() + 1)
    };
    block_in_place(|| {
        wait_until("warm servers", PATIENCE, || {
            cluster.nodes().iter().all(is_warm)
        })
    })?;
    let locker = strict(cluster).await?;
    let first = locker.acquire("bench:ready").timeout(PATIENCE).await?;
    first.release().await?;
    Ok(locker)
}

async fn kill(cluster: &SentinelCluster, clocks: Clocks, round: usize) -> Result<Outcome> {
    let mut locker = ready(cluster).await?;
    let mut announced = announcements(cluster).await?;
    let attempts = Attempts::start(&locker, round);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let attempts = match clocks {
        Clocks::Known => attempts,
        Clocks::Unknown => {
            drop(attempts);
            locker.close(PATIENCE).await?;
            let old = block_in_place(|| cluster.kill_master())?;
            locker = strict(cluster).await?;
            return finish(
                cluster,
                old,
                Attempts::start(&locker, round),
                &mut announced,
            )
            .await;
        }
    };
    let old = block_in_place(|| cluster.kill_master())?;
    finish(cluster, old, attempts, &mut announced).await
}

async fn depose(cluster: &SentinelCluster, round: usize) -> Result<Outcome> {
    let locker = ready(cluster).await?;
    let mut announced = announcements(cluster).await?;
    let attempts = Attempts::start(&locker, round);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let old = block_in_place(|| cluster.failover())?;
    finish(cluster, old, attempts, &mut announced).await
}

async fn finish(
    cluster: &SentinelCluster,
    old: usize,
    attempts: Attempts,
    announced: &mut tokio::sync::mpsc::UnboundedReceiver<Instant>,
) -> Result<Outcome> {
    let first = next(announced).await?;
    let second = next(announced).await?;
    let new = block_in_place(|| cluster.wait_for_new_master(old))?;
    let master = cluster.node(new);
    let granted = attempts.first_on(master, first).await?;
    drop(attempts);
    let field = |field| -> Result<String, Error> {
        Ok(block_in_place(|| {
            master.cli(&["HGET", "leasehold:gate", field])
        })?)
    };
    let reason = field("reason")?;
    if !reason.trim().is_empty() {
        eprintln!("takeover: a pause, for {}", reason.trim());
    }
    let outcome = Outcome {
        milliseconds: granted.saturating_duration_since(second).as_secs_f64() * 1e3,
        is_fast: field("was_open")?.trim() == "1",
    };
    let Outcome {
        milliseconds,
        is_fast,
    } = outcome;
    eprintln!("takeover: {milliseconds:.0} ms, without a pause: {is_fast}");
    deposing::recover(cluster, old)?;
    Ok(outcome)
}
