//! How long starting and failing over take on this machine.

use std::time::{Duration, Instant};

use leasehold_testkit::{RedisServer, Result, SentinelCluster};

const ROUNDS: usize = 10;

fn main() -> Result<()> {
    report(
        "start of a server",
        times(|| RedisServer::start().map(drop))?,
    );
    report(
        "start of a Sentinel cluster",
        times(|| SentinelCluster::start().map(drop))?,
    );
    let cluster = SentinelCluster::start()?;
    let mut settling = Vec::new();
    let mut killing = || -> Result<Duration> {
        let started = Instant::now();
        let old = cluster.kill_master()?;
        cluster.wait_for_new_master(old)?;
        let took = started.elapsed();
        cluster.node(old).restart()?;
        cluster.wait_until_stable()?;
        settling.push(started.elapsed());
        Ok(took)
    };
    let kills = (0..ROUNDS).map(|_| killing()).collect::<Result<Vec<_>>>()?;
    report("SIGKILL to a new master", kills);
    report("SIGKILL to all well again", settling);
    let forced = || -> Result<()> {
        let old = cluster.failover()?;
        cluster.wait_for_new_master(old).map(drop)
    };
    let mut forces = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        forced()?;
        forces.push(started.elapsed());
        cluster.wait_until_stable()?;
    }
    report("SENTINEL FAILOVER to a new master", forces);
    Ok(())
}

fn times(mut action: impl FnMut() -> Result<()>) -> Result<Vec<Duration>> {
    let mut once = || {
        let started = Instant::now();
        action().map(|()| started.elapsed())
    };
    (0..ROUNDS).map(|_| once()).collect()
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    println!(
        "{what}: median {:?}, longest {:?}",
        times[times.len() / 2],
        times[times.len() - 1]
    );
}
