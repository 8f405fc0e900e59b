//! Each way in which a master ends, and the way back to work.

use std::time::{Duration, Instant};

use leasehold::{AcquireOptions, Error, LostReason, Released};
use leasehold_testkit::SentinelCluster;
use leasehold_tests::{
    blocking, connect, connections_named, eventually, fail_over, lease, lease_on, patient,
    sentinel_env, soon,
};

const RELAXED: (&str, &str) = ("LOCK_SAFETY", "relaxed");

/// S2. With a connect timeout longer than the test's patience: connecting to the stopped master
/// hangs, and must be given up for the new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_master_is_given_up_for_the_new_one_at_once() {
    let cluster = SentinelCluster::start().expect("a cluster");
    let slow = [RELAXED, ("REDIS_CONNECT_TIMEOUT", "60s")];
    let locker = connect(sentinel_env(&cluster), &slow)
        .await
        .expect("connect");
    let before = lease(&locker, "report").await;
    let fence = before.fence();
    before.release().await.expect("a release");

    let old = blocking(|| cluster.pause_master()).expect("SIGSTOP");
    let after = lease(&locker, "report").await;
    assert!(fence < after.fence());
    let new = blocking(|| cluster.wait_for_new_master(old)).expect("a new master");
    let key = blocking(|| cluster.node(new).cli(&["GET", "report"]));
    assert_ne!(key.expect("GET"), "", "the grant is on the new master");

    // Until the Sentinels demote it the old one takes writes, but not from us.
    cluster.node(old).resume().expect("SIGCONT");
    let next = lease(&locker, "other").await;
    let stale = blocking(|| cluster.node(old).cli(&["GET", "other"]));
    let follows = blocking(|| cluster.node(old).follows()).expect("INFO");
    if follows.is_none() {
        assert_eq!(stale.expect("GET"), "");
    }
    assert_eq!(next.release().await.expect("a release"), Released::Released);
    assert!(after.is_valid());
}

/// S2 for whoever waits for a reply: the limit for one command is longer than the test's patience.
#[tokio::test(flavor = "multi_thread")]
async fn commands_to_a_stopped_master_fail_when_it_is_replaced() {
    let cluster = SentinelCluster::start().expect("a cluster");
    for safety in ["relaxed", "strict"] {
        let slow = [
            ("LOCK_SAFETY", safety),
            ("REDIS_COMMAND_TIMEOUT", "60s"),
            ("LOCK_TTL", "200s"),
            ("LOCK_MAX_TTL", "200s"),
        ];
        let locker = connect(sentinel_env(&cluster), &slow)
            .await
            .expect("connect");
        let old = blocking(|| cluster.pause_master()).expect("SIGSTOP");
        let failed = soon("the failure", locker.try_acquire("report")).await;
        let failed = failed.expect_err("nobody answers");
        assert!(matches!(failed, Error::Ambiguous { .. }), "{failed}");
        assert!(failed.is_retryable());
        cluster.node(old).resume().expect("SIGCONT");
        blocking(|| cluster.wait_until_stable()).expect("a stable cluster");
    }
}

/// S1 for whoever waits for a reply: the end of the connection answers.
#[tokio::test(flavor = "multi_thread")]
async fn commands_in_flight_fail_when_the_master_dies() {
    let cluster = SentinelCluster::start().expect("a cluster");
    let slow = [
        ("REDIS_COMMAND_TIMEOUT", "60s"),
        ("LOCK_TTL", "200s"),
        ("LOCK_MAX_TTL", "200s"),
    ];
    for safety in ["relaxed", "strict"] {
        let overrides = [slow[0], slow[1], slow[2], ("LOCK_SAFETY", safety)];
        let locker = connect(sentinel_env(&cluster), &overrides)
            .await
            .expect("connect");
        let old = blocking(|| cluster.master_index()).expect("a master");
        cluster.node(old).pause().expect("SIGSTOP");
        let waiting = locker.clone();
        let in_flight = tokio::spawn(async move { waiting.try_acquire("report").await });
        // The command is in the server's socket, or about to be: either way no reply can come.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let killed = Instant::now();
        cluster.node(old).kill();
        let failed = soon("the failure", in_flight).await.expect("the task");
        let failed = failed.expect_err("nobody answers");
        assert!(
            matches!(failed, Error::Ambiguous { .. } | Error::Unavailable(_)),
            "{failed}"
        );
        assert!(killed.elapsed() < Duration::from_secs(5));
        blocking(|| {
            cluster.wait_for_new_master(old).expect("a new master");
            cluster.node(old).restart().expect("a restart");
            cluster.wait_until_stable().expect("a stable cluster");
        });
    }
}

/// S3. The old master lives on and takes writes for a while, but none of ours.
#[tokio::test(flavor = "multi_thread")]
async fn a_deposed_master_is_left_at_once() {
    let cluster = patient().start().expect("a cluster");
    let named = [RELAXED, ("REDIS_CLIENT_NAME", "leaver")];
    let locker = connect(sentinel_env(&cluster), &named)
        .await
        .expect("connect");
    let before = blocking(|| cluster.master_index()).expect("a master");
    assert_eq!(connections_named(cluster.node(before), "leaver"), 1);
    let (old, new) = fail_over(&cluster);
    eventually("the old master is left", async || {
        connections_named(cluster.node(old), "leaver") == 0
    })
    .await;
    let held = lease(&locker, "report").await;
    assert_eq!(connections_named(cluster.node(new), "leaver"), 1);
    let key = blocking(|| cluster.node(new).cli(&["GET", "report"]));
    assert_ne!(key.expect("GET"), "");
    drop(held);
}

/// S4. `FAILOVER` keeps the connections open and answers READONLY, and the Sentinels learn of it
/// last.
#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_becomes_a_replica_under_an_open_connection() {
    let cluster = SentinelCluster::start().expect("a cluster");
    let locker = connect(sentinel_env(&cluster), &[RELAXED])
        .await
        .expect("connect");
    let before = lease(&locker, "report").await;
    let fence = before.fence();
    before.release().await.expect("a release");
    let old = blocking(|| cluster.coordinated_failover()).expect("FAILOVER");
    match locker.try_acquire("report").await {
        Ok(held) => drop(held),
        Err(refused) => assert!(refused.is_retryable(), "{refused}"),
    }
    let after = lease(&locker, "report").await;
    assert!(fence < after.fence());
    let new = blocking(|| {
        cluster
            .wait_until_stable()
            .and_then(|()| cluster.master_index())
    });
    let new = new.expect("a master");
    let key = blocking(|| cluster.node(new).cli(&["GET", "report"]));
    assert_ne!(key.expect("GET"), "", "node {old} was deposed");
}

/// S5. There and back again, which listeners that die with the first failover do not survive.
#[tokio::test(flavor = "multi_thread")]
async fn two_failovers_in_a_row() {
    let cluster = patient().replicas(1).start().expect("a cluster");
    let locker = connect(sentinel_env(&cluster), &[RELAXED])
        .await
        .expect("connect");
    let mut last = None;
    for round in 0..3 {
        let held = lease(&locker, "report").await;
        assert!(last < Some(held.fence()), "round {round}");
        last = Some(held.fence());
        held.release().await.expect("a release");
        let (_, new) = fail_over(&cluster);
        let probe = lease_on(cluster.node(new), &locker, "probe").await;
        probe.release().await.expect("a release");
        blocking(|| cluster.wait_until_stable()).expect("a stable cluster");
    }
}

/// S6. No failover, no event, no new epoch: the master comes back before it is missed, and empty.
#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_restarts_empty_before_it_is_missed() {
    let cluster = patient().start().expect("a cluster");
    let (relaxed, strict) = tokio::join!(
        connect(
            sentinel_env(&cluster),
            &[RELAXED, ("LOCK_KEY_PREFIX", "relaxed:")]
        ),
        connect(sentinel_env(&cluster), &[("LOCK_KEY_PREFIX", "strict:")]),
    );
    let (relaxed, strict) = (relaxed.expect("connect"), strict.expect("connect"));
    let long = AcquireOptions::new().ttl(Duration::from_secs(3));
    let lost = relaxed
        .acquire("report")
        .options(&long)
        .await
        .expect("a lease");
    let kept = lease(&strict, "report").await;

    blocking(|| cluster.node(0).restart_empty()).expect("a restart");
    let reason = soon("the loss", lost.lost()).await;
    assert_eq!(
        reason.to_string(),
        "its master restarted without its data; keep an append-only file (appendonly yes)"
    );
    assert!(matches!(reason, LostReason::Restart));
    let again = lease(&relaxed, "report").await;
    assert!(lost.fence() < again.fence());

    // Strict mode grants nothing until all earlier leases have lapsed, so the holder may stay.
    soon("the lease is written again", async {
        while kept.renew().await.is_err() {
            assert!(kept.is_valid(), "{}", kept.lost().await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let key = blocking(|| cluster.node(0).cli(&["GET", "strict:report"]));
    assert_ne!(key.expect("GET"), "");
    assert_eq!(kept.release().await.expect("a release"), Released::Released);
}
