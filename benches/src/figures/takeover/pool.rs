//! Clusters that are prepared while another one is measured: a take-over without a pause needs servers that have been
//! up for a longest lease.

use std::sync::Arc;
use std::time::{Duration, Instant};

use leasehold_testkit::{RedisServer, SentinelCluster, wait_until};
use tokio::task::block_in_place;

use super::cases::LONGEST;
use crate::Result;

const PATIENCE: Duration = Duration::from_secs(120);
/// Long enough for `leasehold failover`, which pauses writes for two seconds at most.
const DOWN_AFTER: Duration = Duration::from_millis(2_500);

pub(super) struct Pool {
    clusters: Vec<Arc<SentinelCluster>>,
}

impl Pool {
    pub(super) fn start(size: usize) -> Result<Self> {
        let start = || {
            let node = RedisServer::builder().append_only(true);
            let cluster = SentinelCluster::builder().node(node);
            cluster.down_after(DOWN_AFTER).start().map(Arc::new)
        };
        let clusters =
            block_in_place(|| (0..size).map(|_| start()).collect::<Result<Vec<_>, _>>())?;
        Ok(Self { clusters })
    }

    pub(super) fn len(&self) -> usize {
        self.clusters.len()
    }

    pub(super) fn cluster(&self, round: usize) -> &Arc<SentinelCluster> {
        &self.clusters[round % self.clusters.len()]
    }

    /// Waits until every server has been up for a longest lease, and every lease from before has run out.
    pub(super) fn warm(&self) -> Result<()> {
        let is_warm = |node: &RedisServer| {
            let info = node.info("server").unwrap_or_default();
            let uptime = info.get("uptime_in_seconds");
            let uptime = uptime.and_then(|uptime| uptime.parse::<u64>().ok());
            uptime.is_some_and(|uptime| uptime > LONGEST.as_secs() + 1)
        };
        block_in_place(|| {
            let until = Instant::now() + LONGEST;
            for cluster in &self.clusters {
                cluster.wait_until_stable()?;
                wait_until("warm servers", PATIENCE, || {
                    cluster.nodes().iter().all(is_warm)
                })?;
            }
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
            Ok(())
        })
    }
}
