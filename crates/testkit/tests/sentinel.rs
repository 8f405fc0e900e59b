//! A Sentinel cluster: failovers of each kind, and what holds when they are over.

use std::{collections::HashMap, time::Duration};

use leasehold_testkit::{
    ChildProcess, Error, FakeSentinel, FakeServer, Mode, MovingCluster, Proxy, RedisCluster,
    Result, Role, SentinelCluster, assert_eventually, netns, wait_for,
};
use redis::Value;

const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_killed_master_is_replaced_and_comes_back_as_replica() -> Result<()> {
    let cluster = SentinelCluster::start()?;
    let old = cluster.kill_master()?;
    let new = cluster.wait_for_new_master(old)?;
    assert_ne!(old, new);
    cluster.node(old).restart()?;
    cluster.wait_until_stable()?;
    assert_eq!(cluster.master_index()?, new);
    assert_eq!(cluster.node(old).role()?, Role::Replica);
    Ok(())
}

#[test]
fn a_paused_master_is_replaced_and_learns_of_it_when_resumed() -> Result<()> {
    let cluster = SentinelCluster::start()?;
    let old = cluster.pause_master()?;
    let new = cluster.wait_for_new_master(old)?;
    assert!(!cluster.node(old).is_serving());
    cluster.node(old).resume()?;
    cluster.wait_until_stable()?;
    assert_eq!(
        (cluster.master_index()?, cluster.node(old).role()?),
        (new, Role::Replica)
    );
    Ok(())
}

#[test]
fn forced_failovers_follow_one_another() -> Result<()> {
    let cluster = SentinelCluster::start()?;
    for _ in 0..3 {
        let old = cluster.failover()?;
        let new = cluster.wait_for_new_master(old)?;
        cluster.wait_until_stable()?;
        assert_eq!(cluster.master_index()?, new);
    }
    Ok(())
}

#[test]
fn a_coordinated_failover_keeps_what_was_written() -> Result<()> {
    let cluster = SentinelCluster::start()?;
    cluster.master()?.command(&["SET", "key", "value"])?;
    let old = cluster.coordinated_failover()?;
    assert_eq!(cluster.node(old).role()?, Role::Replica);
    cluster.wait_until_stable()?;
    assert_ne!(cluster.master_index()?, old);
    assert_eq!(
        cluster.master()?.command(&["GET", "key"])?,
        Value::BulkString(b"value".to_vec())
    );
    Ok(())
}

#[test]
fn a_cluster_with_passwords_fails_over_too() -> Result<()> {
    let cluster = SentinelCluster::builder()
        .service("orders")
        .password("p@ss \"word\" #1")
        .sentinel_password("another $ecret")
        .replicas(1)
        .start()?;
    let environment: HashMap<String, String> = cluster.env().into_iter().collect();
    assert_eq!(environment["REDIS_SENTINEL_HOSTS"].split(',').count(), 3);
    assert_eq!(environment["REDIS_SENTINEL_SERVICE"], "orders");
    assert_eq!(environment["REDIS_PASSWORD"], "p@ss \"word\" #1");
    assert_eq!(environment["REDIS_SENTINEL_PASSWORD"], "another $ecret");
    let old = cluster.kill_master()?;
    cluster.wait_for_new_master(old)?;
    assert_eq!(cluster.master()?.cli(&["SET", "key", "value"])?, "OK");
    let mut client =
        redis::Client::open(cluster.master()?.url()).and_then(|client| client.get_connection());
    let value: Option<String> = client
        .as_mut()
        .ok()
        .and_then(|client| redis::cmd("GET").arg("key").query(client).ok());
    assert_eq!(
        value.as_deref(),
        Some("value"),
        "the URL carries the password"
    );
    Ok(())
}

#[test]
fn sentinels_survive_restarts_and_a_minority_is_not_missed() -> Result<()> {
    let cluster = SentinelCluster::start()?;
    cluster.sentinel(0).kill();
    let old = cluster.kill_master()?;
    let new = cluster.wait_for_new_master(old)?;
    cluster.sentinel(0).restart()?;
    cluster.node(old).restart()?;
    cluster.wait_until_stable()?;
    let named = cluster.sentinel(0).master_address()?.map(|(_, port)| port);
    assert_eq!(named, Some(cluster.node(new).port()));
    cluster.sentinel(1).pause()?;
    cluster.sentinel(1).resume()?;
    cluster.wait_until_stable()
}

#[test]
fn a_whole_cluster_comes_back_after_a_power_cut() -> Result<()> {
    let cluster = SentinelCluster::start()?;
    let before = cluster.master_index()?;
    cluster.kill_all();
    assert!(cluster.master_index().is_err());
    for node in cluster.nodes() {
        node.restart()?;
    }
    for sentinel in cluster.sentinels() {
        sentinel.restart()?;
    }
    cluster.wait_until_stable()?;
    assert_eq!(cluster.master_index()?, before);
    Ok(())
}

#[test]
fn a_master_without_replicas_in_reach_refuses_writes_when_told_to() -> Result<()> {
    let cluster = SentinelCluster::builder()
        .node_config("min-replicas-to-write", "1")
        .node_config("min-replicas-max-lag", "1")
        .failover_timeout(Duration::from_secs(60))
        .start()?;
    cluster.master()?.wait_for_replicas(2, LONG)?;
    // On a busy machine a replica's word may be more than the allowed second old for a moment.
    wait_for("the master to take a write", LONG, || {
        cluster.node(0).command(&["SET", "key", "value"])
    })?;
    for index in cluster.replica_indices()? {
        cluster.node(index).pause()?;
    }
    let refused = || {
        cluster
            .node(0)
            .cli(&["SET", "key", "value"])
            .is_err_and(|error| error.to_string().contains("NOREPLICAS"))
    };
    assert_eventually("the lonely master to refuse", LONG, refused);
    Ok(())
}

#[test]
fn a_master_behind_a_black_hole_is_deposed_and_goes_on_for_those_inside() -> Result<()> {
    let cluster = SentinelCluster::builder().proxied(true).start()?;
    let old = cluster.master_index()?;
    let named = cluster.sentinel(0).master_address()?.map(|(_, port)| port);
    assert_eq!(
        named,
        Some(cluster.proxy(old).port()),
        "clients are sent to the proxy"
    );
    assert!(
        cluster
            .address_map()
            .contains(&format!("={}", cluster.node(old).address()))
    );
    cluster.proxy(old).set_mode(Mode::Blackhole)?;
    let new = cluster.wait_for_new_master(old)?;
    assert_eq!(
        cluster.node(old).role()?,
        Role::Master,
        "two masters at once"
    );
    cluster.node(old).command(&["SET", "written", "in vain"])?;
    cluster.proxy(old).set_mode(Mode::Pass)?;
    cluster.wait_until_stable()?;
    assert_eq!(
        (cluster.master_index()?, cluster.node(old).role()?),
        (new, Role::Replica)
    );
    assert_eq!(cluster.node(old).cli(&["GET", "written"])?, "");
    Ok(())
}

#[test]
fn everything_may_be_shared_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<SentinelCluster>();
    check::<RedisCluster>();
    check::<Proxy>();
    check::<FakeServer>();
    check::<FakeSentinel>();
    check::<ChildProcess>();
    check::<netns::Network>();
    check::<Error>();
}

#[test]
fn a_moved_sentinel_is_the_same_one_at_another_port() -> Result<()> {
    let moving = MovingCluster::start(SentinelCluster::builder())?;
    let sentinel = moving.cluster().sentinel(0);
    let (port, id) = (sentinel.port(), sentinel.cli(&["SENTINEL", "MYID"])?);
    moving.move_sentinel(0)?;
    assert_ne!(sentinel.port(), port);
    assert_eq!(sentinel.cli(&["SENTINEL", "MYID"])?, id);
    moving.cluster().wait_until_stable()?;

    let master = moving.cluster().master_index()?;
    moving.move_node((master + 1) % 3)?;
    moving.cluster().wait_until_stable()
}
