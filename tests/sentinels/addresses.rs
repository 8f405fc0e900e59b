//! S24, S25: what the Sentinels call the master, and where it can be reached from here.

use leasehold_testkit::{RedisServer, SentinelCluster};
use leasehold_tests::{connect, fail_over, lease, lease_on, sentinel_env, sentinels_env};

use crate::{addresses, holds, sentinels_of};

const RELAXED: (&str, &str) = ("LOCK_SAFETY", "relaxed");

/// S24. Addresses behind a translation, of both families, with and without a port.
#[tokio::test(flavor = "multi_thread")]
async fn announced_addresses_are_translated() {
    let redis = RedisServer::start().expect("redis-server");
    let sentinels = sentinels_of(&redis, 3);
    let port = redis.port();
    for (host, announced, map) in [
        (
            "10.99.0.7",
            6379,
            format!("10.99.0.7:6379=127.0.0.1:{port}"),
        ),
        ("10.99.0.7", port, "10.99.0.7=127.0.0.1".to_owned()),
        ("fd00::7", 6379, format!("[fd00::7]:6379=127.0.0.1:{port}")),
        (
            "redis-0.cluster.local",
            port,
            "redis-0.cluster.local=127.0.0.1".to_owned(),
        ),
        ("localhost", port, "10.99.0.7=10.99.0.8".to_owned()),
    ] {
        for sentinel in &sentinels {
            sentinel.set_master(host, announced, 1);
        }
        let overrides = [RELAXED, ("REDIS_ADDRESS_MAP", map.as_str())];
        let locker = connect(sentinels_env(&addresses(&sentinels)), &overrides).await;
        let locker = locker.unwrap_or_else(|error| panic!("{map}: {error}"));
        let held = lease(&locker, "report").await;
        assert!(holds(&redis), "{map}");
        held.release().await.expect("a release");
    }
}

/// S24 on real servers, through a failover: everybody but us knows the nodes by other addresses.
#[tokio::test(flavor = "multi_thread")]
async fn translation_goes_on_after_a_failover() {
    let cluster = SentinelCluster::builder()
        .proxied(true)
        .start()
        .expect("a cluster");
    let map = cluster.address_map();
    let overrides = [RELAXED, ("REDIS_ADDRESS_MAP", map.as_str())];
    let locker = connect(sentinel_env(&cluster), &overrides)
        .await
        .expect("connect");
    let before = lease(&locker, "report").await;
    let fence = before.fence();
    before.release().await.expect("a release");
    let (_, new) = fail_over(&cluster);
    let after = lease_on(cluster.node(new), &locker, "report").await;
    assert!(fence < after.fence());
}

/// S25. The Sentinels name the first master by its name and the next by its address, as mixed
/// setups do.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_name_may_become_an_address() {
    let (first, second) = (
        RedisServer::start().expect("redis-server"),
        RedisServer::start().expect("redis-server"),
    );
    let sentinels = sentinels_of(&first, 3);
    for sentinel in &sentinels {
        sentinel.set_master("localhost", first.port(), 1);
    }
    let locker = connect(sentinels_env(&addresses(&sentinels)), &[RELAXED])
        .await
        .expect("connect");
    let held = lease(&locker, "report").await;
    let fence = held.fence();
    assert!(holds(&first));
    held.release().await.expect("a release");
    // The same node under another name, then another node.
    for (server, epoch) in [(&first, 1), (&second, 2)] {
        for sentinel in &sentinels {
            sentinel.set_master("127.0.0.1", server.port(), epoch);
            sentinel.announce_switch("127.0.0.1", server.port());
        }
        let held = lease_on(server, &locker, "report").await;
        assert!(fence < held.fence());
        held.release().await.expect("a release");
    }
}
