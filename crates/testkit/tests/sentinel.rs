//! A Sentinel cluster: failovers of each kind, and what holds when they are over.

use std::time::Instant;

use leasehold_testkit::{Result, SentinelCluster};

#[test]
fn a_killed_master_is_replaced_and_comes_back_as_replica() -> Result<()> {
    let started = Instant::now();
    let cluster = SentinelCluster::start()?;
    eprintln!("cluster start: {:?}", started.elapsed());
    let killed = Instant::now();
    let old = cluster.kill_master()?;
    let new = cluster.wait_for_new_master(old)?;
    eprintln!("failover: {:?}", killed.elapsed());
    assert_ne!(old, new);
    let back = Instant::now();
    cluster.node(old).restart()?;
    cluster.wait_until_stable()?;
    eprintln!("old back as replica: {:?}", back.elapsed());
    assert_eq!(cluster.master_index()?, new);
    Ok(())
}
