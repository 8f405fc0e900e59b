//! Masters that were deposed and do not know it.

use std::time::Duration;

use leasehold::{Error, Lease, Locker};
use leasehold_testkit::{RedisServer, SentinelCluster, wait_until};
use leasehold_tests::{connect, opened, sentinel_env, soon};

use crate::rivals::{
    Holder, NAME, Rival, Stranded, TTL, cluster, hold, plain_grant, referee, strict,
};

const LONG: Duration = Duration::from_secs(30);

/// E7: the count of good replicas is cached, so `min-replicas-to-write` lets a master that was frozen through its own
/// failover grant at once when it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_was_frozen_through_its_failover_grants_nothing() {
    for _ in 0..3 {
        if freeze_through_a_failover().await {
            return;
        }
    }
    panic!("the plain recipe is granted by the deposed master, min-replicas or not")
}

/// Whether a plain client was fooled, which it is not if the master counts its replicas first.
async fn freeze_through_a_failover() -> bool {
    let cluster = cluster()
        .node_config("min-replicas-to-write", "1")
        .node_config("min-replicas-max-lag", "1")
        .start()
        .expect("a cluster");
    let (stale, fresh) = (strict(&cluster).await, strict(&cluster).await);
    let mut plain = cluster
        .node(0)
        .application_connection()
        .expect("a connection");
    let has_good_replicas = || {
        let replication = cluster.node(0).info("replication").unwrap_or_default();
        let good = replication.get("min_slaves_good_slaves");
        good.is_some_and(|good| good != "0")
    };
    wait_until("replicas that count as good", LONG, has_good_replicas).expect("good replicas");
    let old = cluster.pause_master().expect("SIGSTOP");
    let fooled = std::thread::spawn(move || {
        plain.set_read_timeout(Some(LONG)).expect("a timeout");
        let granted: redis::RedisResult<Option<String>> = redis::cmd("SET")
            .arg(&["plain", "second", "NX", "PX", "30000"])
            .query(&mut plain);
        granted.is_ok_and(|granted| granted.is_some())
    });
    // What these ask for lies in the socket of the frozen master until it goes on.
    let asked: Vec<_> = (0..20)
        .map(|_| {
            let stale = stale.clone();
            tokio::spawn(async move { stale.try_acquire(NAME).await })
        })
        .collect();
    let new = cluster.wait_for_new_master(old).expect("a new master");
    let holder = hold(&fresh).await;
    assert!(plain_grant(cluster.node(new), "first"));

    let rival = Rival::start(&stale);
    cluster.node(old).resume().expect("SIGCONT");
    let was_fooled = fooled.join().expect("the plain client");
    for one in asked {
        let outcome = one.await.expect("a task");
        assert!(outcome.is_err(), "granted by a frozen master: {outcome:?}");
    }
    referee(holder, &rival, TTL).await;
    was_fooled
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposed_master_grants_and_renews_nothing() {
    let cluster = cluster().proxied(true).start().expect("a cluster");
    let stranded = Stranded::connect(&cluster, &[("LOCK_SAFETY", "strict")]).await;
    let far = strict(&cluster).await;
    let holder = hold(&stranded.locker).await;
    let rival = Rival::start(&far);
    stranded.strand_with(&cluster, 0);
    referee(holder, &rival, LONG).await;
    // Nor does it give what the other side has.
    let holder = {
        drop(rival);
        soon("a lease", far.acquire(NAME)).await.expect("a lease")
    };
    let refused = stranded
        .locker
        .try_acquire(NAME)
        .await
        .expect_err("a deposed master");
    assert!(
        matches!(
            refused,
            Error::NotReplicated { .. } | Error::Unavailable(_) | Error::Ambiguous { .. }
        ),
        "{refused}"
    );
    drop(holder);
}

/// What relaxed mode trades away.
#[tokio::test(flavor = "multi_thread")]
async fn in_relaxed_mode_a_deposed_master_leaves_two_holders_with_different_fences() {
    let cluster = cluster().proxied(true).start().expect("a cluster");
    let stranded = Stranded::connect(&cluster, &[("LOCK_SAFETY", "relaxed")]).await;
    let far = connect(sentinel_env(&cluster), &[("LOCK_SAFETY", "relaxed")])
        .await
        .expect("connect");
    stranded.strand_with(&cluster, 0);
    cluster.wait_for_new_master(0).expect("a new master");
    let one = soon("a lease", stranded.locker.acquire(NAME))
        .await
        .expect("a lease");
    let other = soon("a lease", far.acquire(NAME)).await.expect("a lease");
    assert!(one.is_valid() && other.is_valid(), "two holders, by design");
    assert!(
        one.fence() < other.fence(),
        "the resource can tell them apart"
    );
}

/// A deposed master that Sentinel makes master again before it ever followed anybody: the incarnation is the old one,
/// and its gate was open, but it knows nothing of what was granted in between. The replica that comes back to it brings a
/// history of its own, and closes the gate.
#[tokio::test(flavor = "multi_thread")]
async fn a_deposed_master_that_is_promoted_again_grants_nothing_that_is_held() {
    let cluster = cluster().start().expect("a cluster");
    let overrides = strict_for("6s");
    let stranded = Stranded::connect(&cluster, &overrides).await;
    let one = &stranded.locker;
    let other = connect(sentinel_env(&cluster), &overrides)
        .await
        .expect("connect");
    // The gate of the first master.
    opened(one).await;
    let (second, holder) = lease_on_a_second_master(&cluster, one).await;
    let holder = Holder::watch(holder);
    let rival = Rival::start(&other);
    // Both at once: the Sentinels have no time to make the first master a replica of the second.
    cluster.node(0).resume().expect("SIGCONT");
    cluster.node(second).pause().expect("SIGSTOP");
    // The holder does not hear of it, as it is parted from everybody, or busy.
    stranded.strand();
    referee(holder, &rival, LONG).await;
}

/// A replica that restarts from a snapshot bears the history of the snapshot. If that is the first master's, nothing in its
/// history tells that it has followed another since, and has confirmed leases there: it is synchronised partially. The
/// gate of a first master that is promoted again is claimed anew all the same, for the Sentinels name it at a later epoch.
#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_is_promoted_again_beside_an_old_snapshot_waits_for_what_is_held() {
    let cluster = SentinelCluster::builder()
        .node(RedisServer::builder().persistence(true))
        .start()
        .expect("a cluster");
    let overrides = strict_for("20s");
    let stranded = Stranded::connect(&cluster, &overrides).await;
    let one = &stranded.locker;
    let other = connect(sentinel_env(&cluster), &overrides)
        .await
        .expect("connect");
    opened(one).await;
    let history = history_of(cluster.node(0));
    for replica in [1, 2] {
        cluster.node(replica).command(&["SAVE"]).expect("SAVE");
    }
    let (second, holder) = lease_on_a_second_master(&cluster, one).await;
    let rival = Rival::start(&other);
    let third = cluster.node(3 - second);
    third.kill();
    stranded.strand();
    // In this order the Sentinels have no master that they could demote the first one to.
    cluster.node(second).pause().expect("SIGSTOP");
    cluster.node(0).resume().expect("SIGCONT");
    let again = cluster.wait_for_new_master(second).expect("a master");
    assert_eq!(again, 0, "the first master again");
    assert_eq!(history_of(cluster.node(0)), history, "and still itself");
    third.restart().expect("a restart");
    // What Sentinel orders as well, in its own time.
    let port = cluster.node(0).port().to_string();
    third
        .command(&["REPLICAOF", cluster.node(0).host(), &port])
        .expect("REPLICAOF");
    let (_, next) = rival.granted().await;
    assert!(!holder.is_valid(), "two holders");
    assert!(next > holder.fence(), "the resource can tell them apart");
}

fn strict_for(ttl: &str) -> [(&str, &str); 3] {
    [
        ("LOCK_SAFETY", "strict"),
        ("LOCK_TTL", ttl),
        ("LOCK_MAX_TTL", ttl),
    ]
}

/// Freezes the first master, which is to be preferred later on, and leases from the one that replaces it.
async fn lease_on_a_second_master(cluster: &SentinelCluster, locker: &Locker) -> (usize, Lease) {
    cluster.node(0).pause().expect("SIGSTOP");
    let second = cluster.wait_for_new_master(0).expect("a new master");
    prefer_the_first(cluster);
    let holder = soon("a lease on the second master", locker.acquire(NAME)).await;
    (second, holder.expect("a lease"))
}

/// The server's `master_replid`.
fn history_of(server: &RedisServer) -> Option<String> {
    let replication = server.info("replication").expect("INFO");
    replication.get("master_replid").cloned()
}

/// Has the Sentinels promote the first node, once it is back, rather than any other.
fn prefer_the_first(cluster: &SentinelCluster) {
    for node in cluster.nodes().iter().filter(|node| node.is_serving()) {
        node.command(&["CONFIG", "SET", "replica-priority", "200"])
            .expect("CONFIG SET");
    }
    let seen = wait_until("the Sentinels to see the priorities", LONG, || {
        cluster.sentinels().iter().all(|sentinel| {
            sentinel.replicas().is_ok_and(|replicas| {
                let with = |priority: &str| {
                    let is = |replica: &&_| {
                        let replica: &std::collections::BTreeMap<String, String> = replica;
                        replica
                            .get("slave-priority")
                            .is_some_and(|seen| seen == priority)
                    };
                    replicas.iter().filter(is).count()
                };
                with("200") == 1 && with("100") == 1
            })
        })
    });
    seen.expect("priorities");
}
