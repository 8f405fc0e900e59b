//! After a failover: from the moment at which a Sentinel announces the new master to the first
//! grant by it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use leasehold::Locker;
use leasehold_testkit::{RedisServer, SentinelCluster};
use tokio::sync::mpsc;
use tokio::task::block_in_place;

use super::{Effort, deposing};
use crate::report::Figure;
use crate::spread::Spread;
use crate::{Error, Result, ours};

const PATIENCE: Duration = Duration::from_secs(60);
/// Between attempts, and so the resolution.
const PAUSE: Duration = Duration::from_millis(1);

pub(super) async fn measure(effort: Effort) -> Result<Figure> {
    let cluster = block_in_place(SentinelCluster::start)?;
    let locker = ours::sentinel(&cluster, &[("LOCK_SAFETY", "relaxed")]).await?;
    let (mut after_first, mut after_majority) = (Vec::new(), Vec::new());
    for round in deposing::rounds(effort) {
        let mut announced = announcements(&cluster).await?;
        let attempts = Attempts::start(&locker, round);
        let old = deposing::depose(&cluster, round)?;
        let new = block_in_place(|| cluster.wait_for_new_master(old))?;
        let first = next(&mut announced).await?;
        let second = next(&mut announced).await?;
        let granted = attempts.first_on(cluster.node(new), first).await?;
        let milliseconds = |since| granted.saturating_duration_since(since).as_secs_f64() * 1e3;
        after_first.push(milliseconds(first));
        after_majority.push(milliseconds(second));
        deposing::recover(&cluster, old)?;
    }
    let question = "how long from the announcement of a new master to a grant by it?";
    let mut figure = Figure::new("failover", question);
    let case = format!("{} failovers, half by SIGKILL", after_first.len());
    let measure = "first Sentinel's +switch-master to first grant, relaxed";
    figure.add(&case, measure, "ms", Spread::of(after_first));
    let measure = "second of three Sentinels' +switch-master to first grant";
    figure.add(&case, measure, "ms", Spread::of(after_majority));
    Ok(figure)
}

pub(super) async fn next(announced: &mut mpsc::UnboundedReceiver<Instant>) -> Result<Instant> {
    let announced = tokio::time::timeout(PATIENCE, announced.recv()).await?;
    announced.ok_or_else(|| Error::from("the Sentinels hung up"))
}

/// When each Sentinel announces another master.
pub(super) async fn announcements(
    cluster: &SentinelCluster,
) -> Result<mpsc::UnboundedReceiver<Instant>> {
    let (announce, announced) = mpsc::unbounded_channel();
    for sentinel in cluster.sentinels() {
        let client = redis::Client::open(sentinel.url())?;
        let mut subscription = client.get_async_pubsub().await?;
        subscription.subscribe("+switch-master").await?;
        let announce = announce.clone();
        tokio::spawn(async move {
            if subscription.on_message().next().await.is_some() {
                let _ = announce.send(Instant::now());
            }
        });
    }
    Ok(announced)
}

/// Attempts at one new resource after the other, until dropped.
pub(super) struct Attempts {
    granted: Arc<Mutex<Vec<(Instant, String)>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Attempts {
    pub(super) fn start(locker: &Locker, round: usize) -> Self {
        let granted: Arc<Mutex<Vec<(Instant, String)>>> = Arc::default();
        let (locker, grants) = (locker.clone(), granted.clone());
        let task = tokio::spawn(async move {
            let mut leases = Vec::new();
            for number in 0_u64.. {
                let resource = format!("bench:{round}:{number}");
                if let Ok(lease) = locker.try_acquire(&resource).await {
                    let grant = (Instant::now(), resource);
                    grants
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(grant);
                    // The lock stays until it expires, so that one can see whose it was.
                    leases.push(lease);
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { granted, task }
    }

    /// The longest time between two grants so far.
    pub(super) fn longest_gap(&self) -> Duration {
        let grants = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        let gaps = grants.windows(2).map(|pair| pair[1].0 - pair[0].0);
        gaps.max().unwrap_or_default()
    }

    /// When `master` made its first grant after `announced`. What the old master granted after it
    /// was deposed never came to the new one.
    pub(super) async fn first_on(
        &self,
        master: &RedisServer,
        announced: Instant,
    ) -> Result<Instant> {
        let mut looked_at = 0;
        let ends = Instant::now() + PATIENCE;
        while Instant::now() < ends {
            let grants = self
                .granted
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            for (at, resource) in &grants[looked_at..] {
                let is_there = *at >= announced
                    && master.command(&["EXISTS", resource])? == redis::Value::Int(1);
                if is_there {
                    return Ok(*at);
                }
            }
            looked_at = grants.len();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(Error::from("no grant on the new master"))
    }
}

impl Drop for Attempts {
    fn drop(&mut self) {
        self.task.abort();
    }
}
