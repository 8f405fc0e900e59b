//! What an operator does on an ordinary day: for how long nothing is granted meanwhile, in strict mode and after a
//! failover, when none of it may close the gate.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use leasehold::Locker;
use leasehold_testkit::{RedisServer, SentinelCluster, wait_until};
use tokio::task::block_in_place;

use super::{Effort, deposing};
use crate::report::{Figure, Target};
use crate::spread::Spread;
use crate::{Result, ours};

const PATIENCE: Duration = Duration::from_secs(60);
const AT_MOST_MS: f64 = 500.0;
/// What comes of an event may show a little later.
const AFTERWARDS: Duration = Duration::from_secs(1);
/// For how long a tap follows the master.
const TAPPED: Duration = Duration::from_secs(1);
/// Tasks that lease and release.
const TASKS: usize = 4;

#[derive(Clone, Copy)]
enum Event {
    ReplicaRestart,
    EmptyReplica,
    Snapshot,
    ResetStatistics,
    Tap,
}

impl Event {
    const ALL: [Self; 5] = [
        Self::ReplicaRestart,
        Self::EmptyReplica,
        Self::Snapshot,
        Self::ResetStatistics,
        Self::Tap,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::ReplicaRestart => "a replica is killed and started again",
            Self::EmptyReplica => "a replica is started again without its data",
            Self::Snapshot => "redis-cli --rdb",
            Self::ResetStatistics => "CONFIG RESETSTAT",
            Self::Tap => "redis-cli --replica, for a second",
        }
    }

    fn carry_out(self, cluster: &SentinelCluster) -> Result<()> {
        let master = cluster.master()?;
        match self {
            Self::ReplicaRestart | Self::EmptyReplica => {
                let replica = cluster.node(cluster.replica_indices()?[0]);
                replica.kill();
                if matches!(self, Self::EmptyReplica) {
                    replica.restart_empty()?;
                } else {
                    replica.restart()?;
                }
                master.wait_for_replicas(2, PATIENCE)?;
            }
            Self::Snapshot => {
                let file = master.directory().join("copy.rdb");
                master.cli(&["--rdb", &file.to_string_lossy()])?;
            }
            Self::ResetStatistics => drop(master.command(&["CONFIG", "RESETSTAT"])?),
            Self::Tap => {
                let port = master.port().to_string();
                let mut tap = std::process::Command::new("redis-cli")
                    .args(["-p", &port, "--replica"])
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()?;
                std::thread::sleep(TAPPED);
                tap.kill()?;
                tap.wait()?;
            }
        }
        Ok(())
    }
}

pub(super) async fn measure(effort: Effort) -> Result<Figure> {
    let node = RedisServer::builder().append_only(true);
    let cluster = SentinelCluster::builder().node(node);
    let cluster = block_in_place(|| cluster.start())?;
    let short = [("LOCK_TTL", "3s"), ("LOCK_MAX_TTL", "3s")];
    let locker = ours::sentinel(&cluster, &[short[0], short[1], ("LOCK_SAFETY", "strict")]).await?;
    let first = locker.acquire("bench:ready").timeout(PATIENCE).await?;
    first.release().await?;
    let old = block_in_place(|| cluster.kill_master())?;
    block_in_place(|| cluster.wait_for_new_master(old))?;
    deposing::recover(&cluster, old)?;
    let first = locker.acquire("bench:ready").timeout(PATIENCE).await?;
    first.release().await?;

    let question = "after a failover, for how long do routine events stop grants?";
    let mut figure = Figure::new("routine", question);
    let load = Load::start(&locker);
    for event in Event::ALL {
        let mut gaps = Vec::new();
        for _ in 0..effort.rounds {
            block_in_place(|| wait_until("grants", PATIENCE, || load.has_granted()))?;
            let from = Instant::now();
            block_in_place(|| event.carry_out(&cluster))?;
            tokio::time::sleep(AFTERWARDS).await;
            gaps.push(load.longest_gap_since(from).as_secs_f64() * 1e3);
            block_in_place(|| cluster.wait_until_stable())?;
        }
        let case = format!("{}, {} times", event.name(), gaps.len());
        let longest = Spread::once(gaps.iter().copied().fold(0.0, f64::max));
        figure.add(
            &case,
            "longest time without a grant each time",
            "ms",
            Spread::of(gaps),
        );
        let target = Target::AtMost(AT_MOST_MS);
        figure.aim(&case, "the longest of them", "ms", longest, target);
    }
    load.stop();
    Ok(figure)
}

/// Tasks that lease and release, until told to stop.
struct Load {
    grants: Arc<Mutex<Vec<Instant>>>,
    is_over: Arc<AtomicBool>,
}

impl Load {
    fn start(locker: &Locker) -> Self {
        let grants: Arc<Mutex<Vec<Instant>>> = Arc::default();
        let is_over = Arc::new(AtomicBool::new(false));
        for task in 0..TASKS {
            let (locker, grants, is_over) = (locker.clone(), grants.clone(), is_over.clone());
            tokio::spawn(async move {
                let resource = format!("bench:routine:{task}");
                while !is_over.load(Ordering::Relaxed) {
                    if let Ok(lease) = locker.try_acquire(&resource).await {
                        let at = Instant::now();
                        grants
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(at);
                        let _ = lease.release().await;
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            });
        }
        Self { grants, is_over }
    }

    fn has_granted(&self) -> bool {
        let grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        let last = grants.last();
        last.is_some_and(|at| at.elapsed() < Duration::from_millis(100))
    }

    /// The longest time without a grant between then and now; what has not ended counts as well.
    fn longest_gap_since(&self, from: Instant) -> Duration {
        let grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last = from;
        let mut longest = Duration::ZERO;
        for at in grants.iter().filter(|at| **at > from) {
            longest = longest.max(at.saturating_duration_since(last));
            last = *at;
        }
        longest.max(last.elapsed())
    }

    fn stop(self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}
