//! How a master comes to be replaced.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use leasehold::Locker;
use leasehold_testkit::SentinelCluster;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::block_in_place;

use crate::figures::deposing;
use crate::figures::failover::{Attempts, announcements, next};
use crate::{Error, Result, ours};

/// The default of `LOCK_MAX_TTL`.
pub(super) const LONGEST: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(90);
/// A supervisor starts a dead master again after so long, in seconds: when it has been replaced. One that does so before is
/// no failover but a restart of the master.
const SUPERVISED_AFTER: (f64, f64) = (4.0, 10.0);

/// What one failover came to.
pub(super) struct Outcome {
    /// From the second Sentinel's announcement to the first grant by the new master.
    pub(super) milliseconds: f64,
    /// The longest time without a grant around it.
    pub(super) gap: Duration,
    pub(super) is_fast: bool,
    /// Why there was a pause; empty if there was none.
    pub(super) reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// The client knew the former master's clock.
    Known,
    /// It comes when the master has died.
    Unknown,
    /// The dead master is started again when it has been replaced.
    Supervised,
    /// `leasehold failover`.
    Planned,
    /// `SENTINEL FAILOVER` while leases are granted.
    Deposed,
}

impl Case {
    pub(super) const ALL: [Self; 5] = [
        Self::Known,
        Self::Unknown,
        Self::Planned,
        Self::Supervised,
        Self::Deposed,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Known => "SIGKILL, the clocks' difference is known",
            Self::Unknown => "SIGKILL, LOCK_MAX_CLOCK_SKEW as it is",
            Self::Supervised => "SIGKILL, started again after 4 to 10 s",
            Self::Planned => "leasehold failover under load",
            Self::Deposed => "SENTINEL FAILOVER under load",
        }
    }

    pub(super) fn at_most_ms(self) -> Option<f64> {
        match self {
            Self::Known | Self::Planned => Some(150.0),
            Self::Unknown => Some(700.0),
            Self::Supervised | Self::Deposed => None,
        }
    }

    pub(super) fn at_least_fast(self) -> Option<f64> {
        match self {
            Self::Known | Self::Unknown => Some(0.9),
            Self::Planned => Some(1.0),
            Self::Supervised | Self::Deposed => None,
        }
    }

    /// Has the master of a warm cluster replaced, and brings the former one back.
    pub(super) async fn carry_out(
        self,
        cluster: &Arc<SentinelCluster>,
        round: usize,
        of: usize,
    ) -> Result<Outcome> {
        let locker = ready(cluster).await?;
        let mut announced = announcements(cluster).await?;
        if self == Self::Unknown {
            locker.close(PATIENCE).await?;
            let old = block_in_place(|| cluster.kill_master())?;
            let locker = strict(cluster).await?;
            let attempts = Attempts::start(&locker, round);
            let outcome = finish(cluster, old, attempts, &mut announced).await;
            deposing::recover(cluster, old)?;
            return outcome;
        }
        let attempts = Attempts::start(&locker, round);
        tokio::time::sleep(Duration::from_millis(200)).await;
        let old = match self {
            Self::Planned => planned(cluster).await?,
            Self::Deposed => block_in_place(|| cluster.failover())?,
            _ => block_in_place(|| cluster.kill_master())?,
        };
        let supervisor = (self == Self::Supervised).then(|| supervise(cluster, old, round, of));
        let outcome = finish(cluster, old, attempts, &mut announced).await;
        if let Some(supervisor) = supervisor {
            let supervised = block_in_place(|| supervisor.join());
            supervised.map_err(|_| Error::from("the supervisor panicked"))??;
        }
        deposing::recover(cluster, old)?;
        outcome
    }
}

/// Starts a dead master again after a while, which is longer with each round.
fn supervise(
    cluster: &Arc<SentinelCluster>,
    old: usize,
    round: usize,
    of: usize,
) -> JoinHandle<Result<()>> {
    let (least, most) = SUPERVISED_AFTER;
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let share = round as f64 / (of - 1).max(1) as f64;
    let after = Duration::from_secs_f64(least + (most - least) * share);
    let cluster = cluster.clone();
    thread::spawn(move || {
        thread::sleep(after);
        cluster.node(old).restart()?;
        cluster.wait_until_stable()?;
        Ok(())
    })
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

/// Waits until the gate is open.
async fn ready(cluster: &SentinelCluster) -> Result<Locker> {
    let locker = strict(cluster).await?;
    let first = locker.acquire("bench:ready").timeout(PATIENCE).await?;
    first.release().await?;
    Ok(locker)
}

/// Runs the command and returns the index of the former master.
async fn planned(cluster: &SentinelCluster) -> Result<usize> {
    let old = block_in_place(|| cluster.master_index())?;
    let mut command = tokio::process::Command::new(program()?);
    let strict = [
        ("IS_LOCKING_DISABLED", "false"),
        ("LOCK_SAFETY", "strict"),
        ("LOCK_TTL", "30s"),
        ("LOCK_MAX_TTL", "30s"),
    ];
    let output = command
        .arg("failover")
        .envs(cluster.env())
        .envs(strict)
        .kill_on_drop(true)
        .output();
    let output = output.await?;
    // 2: there was a failover, and a pause. That is counted.
    if !matches!(output.status.code(), Some(0 | 2)) {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(Error::from(format!("leasehold failover: {told}")));
    }
    Ok(old)
}

/// The command, which is built beside this program.
fn program() -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("leasehold");
    if program.is_file() {
        Ok(program)
    } else {
        let program = program.display();
        let message =
            format!("{program} is missing: cargo build --release --package leasehold-cli");
        Err(Error::from(message))
    }
}

async fn finish(
    cluster: &SentinelCluster,
    old: usize,
    attempts: Attempts,
    announced: &mut UnboundedReceiver<Instant>,
) -> Result<Outcome> {
    let first = next(announced).await?;
    let second = next(announced).await?;
    let new = block_in_place(|| cluster.wait_for_new_master(old))?;
    let master = cluster.node(new);
    let granted = attempts.first_on(master, first).await?;
    let gap = attempts.longest_gap();
    drop(attempts);
    let field = |field| -> Result<String, Error> {
        let ask = ["HGET", "leasehold:gate", field];
        let value = block_in_place(|| master.cli(&ask))?;
        Ok(value.trim().to_owned())
    };
    let outcome = Outcome {
        milliseconds: granted.saturating_duration_since(second).as_secs_f64() * 1e3,
        gap,
        is_fast: field("was_open")? == "1",
        reason: field("reason")?,
    };
    Ok(outcome)
}
