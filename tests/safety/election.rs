//! Sentinels that are forced, and Sentinels that forget.

use std::time::Duration;

use leasehold_testkit::{RedisServer, SentinelCluster, wait_until};
use leasehold_tests::{connect, sentinel_env, soon};
use redis::{FromRedisValue, Value};

use crate::rivals::{NAME, Rival, TTL, cluster, hold, plain_grant, referee, strict};

/// E6: two forced failovers at once skip the vote, and for seconds two masters have one epoch.
#[tokio::test(flavor = "multi_thread")]
async fn two_failovers_at_once_leave_one_holder() {
    let cluster = cluster().start().expect("a cluster");
    let (one, other) = (strict(&cluster).await, strict(&cluster).await);
    for _ in 0..2 {
        let holder = hold(&one).await;
        let rival = Rival::start(&other);
        let order = ["SENTINEL", "FAILOVER", cluster.service()];
        std::thread::scope(|scope| {
            for sentinel in cluster.sentinels() {
                scope.spawn(|| sentinel.command(&order));
            }
        });
        referee(holder, &rival, TTL * 3).await;
        drop(rival);
        cluster.wait_until_stable().expect("a stable cluster");
    }
}

/// E5: Sentinels that are set up anew begin at epoch 0 again. Fences do not come from there.
#[tokio::test(flavor = "multi_thread")]
async fn fences_go_up_when_the_sentinels_begin_at_epoch_zero_again() {
    let cluster = cluster().start().expect("a cluster");
    let old = cluster.failover().expect("a failover");
    let new = cluster.wait_for_new_master(old).expect("a new master");
    cluster.wait_until_stable().expect("a stable cluster");
    let locker = strict(&cluster).await;
    let before = soon("a lease", locker.acquire(NAME))
        .await
        .expect("a lease");
    let fence = before.fence();
    before.release().await.expect("a release");
    let (host, port) = (
        cluster.node(new).host().to_owned(),
        cluster.node(new).port().to_string(),
    );
    for sentinel in cluster.sentinels() {
        sentinel
            .command(&["SENTINEL", "REMOVE", cluster.service()])
            .expect("SENTINEL REMOVE");
    }
    for sentinel in cluster.sentinels() {
        let words = ["SENTINEL", "MONITOR", cluster.service(), &host, &port, "2"];
        sentinel.command(&words).expect("SENTINEL MONITOR");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let newcomer = strict(&cluster).await;
    for locker in [&newcomer, &locker] {
        let after = soon("a lease", locker.acquire(NAME))
            .await
            .expect("a lease");
        assert!(after.fence() > fence);
        after.release().await.expect("a release");
    }
}

/// E12: whoever may publish on the Sentinels' channel can make any server master, at any epoch. The rules in
/// `config/users.acl` forbid it; where they are not in force, a forged master is one more that knows nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_was_forged_frees_nothing_that_is_held() {
    let cluster = cluster().start().expect("a cluster");
    let (one, other) = (strict(&cluster).await, strict(&cluster).await);
    let holder = hold(&one).await;
    assert!(plain_grant(cluster.node(0), "first"));
    let rival = Rival::start(&other);
    let forged = RedisServer::start().expect("redis-server");
    let speaker = cluster.sentinel(0);
    let id = speaker.command(&["SENTINEL", "MYID"]).expect("MYID");
    let id = String::from_redis_value(id).expect("an id");
    let (host, port, service) = (speaker.host(), speaker.port(), cluster.service());
    let hello = format!(
        "{host},{port},{id},9000,{service},{},{},9000",
        forged.host(),
        forged.port()
    );
    let told = cluster
        .node(0)
        .command(&["PUBLISH", "__sentinel__:hello", &hello])
        .expect("PUBLISH");
    assert_ne!(told, Value::Int(0), "the Sentinels listen");
    let moved = wait_until(
        "the Sentinels to be deceived",
        Duration::from_secs(10),
        || {
            let names_it = |sentinel: &&leasehold_testkit::SentinelServer| {
                let named = sentinel.master_address();
                named.is_ok_and(|named| named.is_some_and(|(_, port)| port == forged.port()))
            };
            cluster.sentinels().iter().filter(names_it).count() >= 2
        },
    );
    moved.expect("one message is enough");
    assert!(
        plain_grant(&forged, "second"),
        "the plain recipe is granted twice"
    );
    referee(holder, &rival, TTL * 3).await;
}

/// A relaxed client waits for no gate, so it would be granted at once what a strict one still holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_relaxed_client_grants_nothing_where_others_are_strict_unless_it_is_told_to() {
    let cluster = SentinelCluster::start().expect("a cluster");
    let strict = [
        ("LOCK_SAFETY", "strict"),
        ("LOCK_TTL", "2s"),
        ("LOCK_MAX_TTL", "2s"),
    ];
    let strict = connect(sentinel_env(&cluster), &strict)
        .await
        .expect("connect");
    let _held = soon("a lease", strict.acquire("strict"))
        .await
        .expect("a lease");

    let relaxed = [("LOCK_SAFETY", "relaxed")];
    let relaxed = connect(sentinel_env(&cluster), &relaxed)
        .await
        .expect("connect");
    let refused = relaxed
        .try_acquire("relaxed")
        .await
        .expect_err("others are strict");
    assert!(!refused.is_retryable());
    let message = refused.to_string();
    assert!(
        message.contains("set LOCK_SAFETY=strict for all clients"),
        "{message}"
    );
    assert!(
        relaxed.inspect("strict").await.is_ok(),
        "looking is no granting"
    );

    let told = [
        ("LOCK_SAFETY", "relaxed"),
        ("LOCK_ALLOW_MIXED_SAFETY", "true"),
    ];
    let told = connect(sentinel_env(&cluster), &told)
        .await
        .expect("connect");
    let _lease = told.try_acquire("relaxed").await.expect("a lease");
}
