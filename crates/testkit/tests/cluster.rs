//! A Redis Cluster: slots change hands when their owner dies or steps aside.

use std::time::Instant;

use leasehold_testkit::{RedisCluster, Result, Role};

#[test]
fn a_replica_takes_over_from_a_killed_owner() -> Result<()> {
    let started = Instant::now();
    let cluster = RedisCluster::start()?;
    eprintln!("start: {:?}", started.elapsed());
    let old = cluster.owner_of("orders")?;
    cluster.node(old).command(&["SET", "orders", "1"])?;
    cluster
        .node(old)
        .wait_for_replicas(1, std::time::Duration::from_secs(10))?;
    let killed = Instant::now();
    cluster.node(old).kill();
    let new = cluster.wait_for_new_owner("orders", old)?;
    eprintln!("failover: {:?}", killed.elapsed());
    assert_eq!(cluster.node(new).cli(&["GET", "orders"])?, "1");
    cluster.node(old).restart()?;
    cluster
        .node(old)
        .wait_for_role(Role::Replica, std::time::Duration::from_secs(20))?;
    cluster.wait_until_stable()
}

#[test]
fn an_owner_steps_aside_when_asked_and_others_redirect() -> Result<()> {
    let cluster = RedisCluster::builder().password("secret").start()?;
    let (old, new) = cluster.failover("orders")?;
    assert_ne!(old, new);
    cluster.wait_until_stable()?;
    assert_eq!(cluster.node(new).cli(&["SET", "orders", "1"])?, "OK");
    let other = (0..6)
        .find(|index| ![old, new].contains(index))
        .unwrap_or_default();
    let redirected = cluster.node(other).cli(&["GET", "orders"]);
    assert!(redirected.is_err_and(|error| error.to_string().contains("MOVED")));
    assert_eq!(cluster.env().len(), 2);
    Ok(())
}
