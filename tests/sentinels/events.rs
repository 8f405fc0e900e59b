//! S11, S12, S26: events that are late, foreign, nonsense or lost, and what operators do.

use leasehold_testkit::{FakeServer, Mode, Proxy, RedisServer};
use leasehold_tests::{
    PATIENCE, blocking, connect, eventually, fail_over, lease, lease_on, patient, sentinel_env,
    sentinels_env,
};

use crate::{addresses, all_name, holds, sentinels_of};

const RELAXED: [(&str, &str); 1] = [("LOCK_SAFETY", "relaxed")];

/// S11. An event is a reason to ask and never an address.
#[tokio::test(flavor = "multi_thread")]
async fn events_are_hints_and_never_addresses() {
    let redis = RedisServer::start().expect("redis-server");
    let decoy = FakeServer::mute().expect("a listener");
    let sentinels = sentinels_of(&redis, 3);
    let locker = connect(sentinels_env(&addresses(&sentinels)), &RELAXED)
        .await
        .expect("connect");
    let held = lease(&locker, "report").await;
    for (what, payload, is_ours) in [
        (
            "late",
            format!("mymaster 127.0.0.1 1 127.0.0.1 {}", decoy.port()),
            true,
        ),
        ("short", "mymaster".to_owned(), true),
        (
            "foreign",
            format!("other 127.0.0.1 1 127.0.0.1 {}", decoy.port()),
            false,
        ),
        ("empty", String::new(), false),
        ("nonsense", "\u{0}\r\n\u{1b}[2J".repeat(100), false),
        (
            "a name that begins like ours",
            "mymaster2 127.0.0.1 1 127.0.0.1 2".to_owned(),
            false,
        ),
    ] {
        let asked = sentinels[0].count("SENTINEL MASTER");
        assert!(
            sentinels[1].publish("+switch-master", &payload) > 0,
            "{what}"
        );
        if is_ours {
            eventually(what, async || sentinels[0].count("SENTINEL MASTER") > asked).await;
        }
    }
    let granted = lease(&locker, "other").await;
    granted.release().await.expect("a release");
    assert!(held.is_valid() && holds(&redis));
    assert_eq!(decoy.connections(), 0);
}

/// S26. The event is lost: the regular check finds the change.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_event_is_made_up_for_by_the_regular_check() {
    let (old, new) = (
        RedisServer::start().expect("redis-server"),
        RedisServer::start().expect("redis-server"),
    );
    let sentinels = sentinels_of(&old, 3);
    let locker = connect(sentinels_env(&addresses(&sentinels)), &RELAXED)
        .await
        .expect("connect");
    lease(&locker, "report")
        .await
        .release()
        .await
        .expect("a release");
    all_name(&sentinels, &new, 1);
    drop(lease_on(&new, &locker, "report").await);
}

/// S26. Every link to a Sentinel is dead without a word, as after the loss of its machine: the
/// links are made anew before they are needed, or when they are.
#[tokio::test(flavor = "multi_thread")]
async fn half_open_links_to_the_sentinels_are_made_anew() {
    let cluster = patient().start().expect("a cluster");
    let proxies: Vec<Proxy> = cluster
        .sentinel_addresses()
        .iter()
        .map(|address| Proxy::start(address).expect("a proxy"))
        .collect();
    let hosts: Vec<String> = proxies.iter().map(Proxy::address).collect();
    // Longer than it takes to find the links dead, so that the lease lives to be verified.
    let through = [
        RELAXED[0],
        ("REDIS_SENTINEL_HOSTS", &hosts.join(",")),
        ("LOCK_TTL", "20s"),
        ("LOCK_MAX_TTL", "20s"),
    ];
    let locker = connect(sentinel_env(&cluster), &through)
        .await
        .expect("connect");
    let held = lease(&locker, "held").await;
    let old = blocking(|| cluster.master()).expect("a master");
    let in_step = blocking(|| old.wait_for_replicas(2, PATIENCE));
    in_step.expect("replicas in step");
    for proxy in &proxies {
        proxy.set_mode(Mode::HalfOpen).expect("half-open");
        proxy.set_mode(Mode::Pass).expect("passing");
    }
    let (_, new) = fail_over(&cluster);
    drop(lease_on(cluster.node(new), &locker, "report").await);
    for proxy in &proxies {
        eventually("a second link", async || proxy.connections() >= 2).await;
    }
    assert!(held.is_valid());
}

/// S12. `SENTINEL RESET`, and `REMOVE` with `MONITOR`, which sets the epoch back to zero.
#[tokio::test(flavor = "multi_thread")]
async fn operators_reset_and_re_monitor() {
    let cluster = patient().start().expect("a cluster");
    let locker = connect(sentinel_env(&cluster), &RELAXED)
        .await
        .expect("connect");
    let first = lease(&locker, "report").await;
    let fence = first.fence();
    first.release().await.expect("a release");
    let (_, new) = fail_over(&cluster);
    blocking(|| cluster.wait_until_stable()).expect("a stable cluster");
    let held = lease(&locker, "report").await;
    assert!(fence < held.fence());

    for sentinel in cluster.sentinels() {
        sentinel
            .command(&["SENTINEL", "RESET", "mymaster"])
            .expect("RESET");
    }
    let other = lease(&locker, "other").await;
    other.release().await.expect("a release");
    blocking(|| cluster.wait_until_stable()).expect("a stable cluster");

    let port = cluster.node(new).port();
    for sentinel in cluster.sentinels() {
        sentinel
            .command(&["SENTINEL", "REMOVE", "mymaster"])
            .expect("REMOVE");
    }
    // Nobody knows the master now; what is held, and for a while what is new, goes on.
    held.renew().await.expect("a renewal");
    locker
        .try_acquire("other")
        .await
        .expect("a grant")
        .release()
        .await
        .ok();
    for sentinel in cluster.sentinels() {
        sentinel.monitor("127.0.0.1", port, 2).expect("MONITOR");
        for words in [
            &[
                "SENTINEL",
                "SET",
                "mymaster",
                "down-after-milliseconds",
                "30000",
            ][..],
            &["SENTINEL", "SET", "mymaster", "failover-timeout", "1000"],
        ] {
            sentinel.command(words).expect("SET");
        }
    }
    blocking(|| cluster.wait_until_stable()).expect("a stable cluster");
    let again = lease(&locker, "other").await;
    assert!(held.fence() < again.fence());
    assert!(held.is_valid());
    let last = held.fence();
    held.release().await.expect("a release");

    // The epoch begins anew, and with it the next failover.
    let (_, new) = fail_over(&cluster);
    let next = lease_on(cluster.node(new), &locker, "report").await;
    assert!(last < next.fence());
}
