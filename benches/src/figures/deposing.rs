//! Masters that are replaced, round by round.

use leasehold_testkit::SentinelCluster;
use tokio::task::block_in_place;

use super::Effort;
use crate::Result;

/// However short the run, these are needed for a picture.
const FAILOVERS: usize = 10;

pub(super) fn rounds(effort: Effort) -> std::ops::Range<usize> {
    0..FAILOVERS.max(effort.rounds)
}

/// Has the master replaced, by `SENTINEL FAILOVER` and by SIGKILL in turns, and says which it was.
pub(super) fn depose(cluster: &SentinelCluster, round: usize) -> Result<usize> {
    Ok(if round.is_multiple_of(2) {
        cluster.failover()?
    } else {
        cluster.kill_master()?
    })
}

/// Brings the deposed master back as a replica.
pub(super) fn recover(cluster: &SentinelCluster, old: usize) -> Result<()> {
    if !cluster.node(old).is_running() {
        cluster.node(old).restart()?;
    }
    block_in_place(|| cluster.wait_until_stable())?;
    Ok(())
}
