//! Replicas that know less than was acknowledged.

use std::time::Duration;

use leasehold::Error;
use leasehold_testkit::{SentinelCluster, netns, wait_until};
use leasehold_tests::{connect, opened, sentinel_env, soon};
use redis::Value;

use crate::rivals::{NAME, Rival, Stranded, TTL, cluster, hold, plain_grant, referee, strict};

const LONG: Duration = Duration::from_secs(30);

/// E10: a replica that acknowledged is passed over for one of better priority that never heard of the lock.
#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_replica_that_lacks_an_acknowledged_lock_grants_it_to_nobody_else() {
    if let Err(reason) = netns::available() {
        eprintln!("skipped: {reason}");
        return;
    }
    let network = netns::Network::start(6).expect("a network");
    let cluster = cluster()
        .on(&network.hosts()[..3])
        .sentinels_on(&network.hosts()[3..])
        .start()
        .expect("a cluster");
    let (one, other) = (strict(&cluster).await, strict(&cluster).await);
    opened(&one).await;
    prefer(&cluster, 2);
    network.cut(0, 2).expect("a cut");
    let holder = hold(&one).await;
    let mut plain = cluster.node(0).connection().expect("a connection");
    let granted: String = redis::cmd("SET")
        .arg(&["plain", "first", "NX", "PX", "30000"])
        .query(&mut plain)
        .expect("SET");
    let fence: i64 = redis::cmd("INCR")
        .arg("plain:fence")
        .query(&mut plain)
        .expect("INCR");
    let acknowledged: usize = redis::cmd("WAIT")
        .arg(&[1, 1_000])
        .query(&mut plain)
        .expect("WAIT");
    assert_eq!(
        (granted.as_str(), acknowledged),
        ("OK", 1),
        "the plain lock is acknowledged too"
    );

    let rival = Rival::start(&other);
    cluster.node(0).kill();
    let new = cluster.wait_for_new_master(0).expect("a new master");
    assert_eq!(new, 2, "the one that lags is preferred");
    assert!(
        plain_grant(cluster.node(new), "second"),
        "WAIT 1 protects no plain lock"
    );
    let again = cluster
        .node(new)
        .command(&["INCR", "plain:fence"])
        .expect("INCR");
    assert_eq!(again, Value::Int(fence), "nor its fence");
    referee(holder, &rival, TTL * 2).await;
}

fn prefer(cluster: &SentinelCluster, node: usize) {
    cluster
        .node(node)
        .command(&["CONFIG", "SET", "replica-priority", "1"])
        .expect("CONFIG SET");
    let seen = wait_until("the Sentinels to see the priority", LONG, || {
        cluster.sentinels().iter().all(|sentinel| {
            sentinel.replicas().is_ok_and(|replicas| {
                replicas.iter().any(|replica| {
                    replica
                        .get("slave-priority")
                        .is_some_and(|priority| priority == "1")
                })
            })
        })
    });
    seen.expect("a priority");
}

/// E3: on a connection that has written nothing `WAIT` says yes to everything, so a confirmation must not be asked for
/// on another connection than the write.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_no_replica_has_is_not_confirmed_by_a_new_connection() {
    let cluster = cluster().start().expect("a cluster");
    let locker = strict(&cluster).await;
    opened(&locker).await;
    for replica in [1, 2] {
        cluster.node(replica).pause().expect("SIGSTOP");
    }
    let mut fresh = cluster
        .node(0)
        .application_connection()
        .expect("a connection");
    let answer: usize = redis::cmd("WAIT")
        .arg(&[2, 300])
        .query(&mut fresh)
        .expect("WAIT");
    assert_eq!(answer, 2, "with both replicas frozen");
    let refused = locker.try_acquire(NAME).await.expect_err("nobody has it");
    assert!(
        matches!(
            refused,
            Error::NotReplicated {
                acknowledged: 1,
                needed: 2,
                ..
            }
        ),
        "{refused}"
    );
    // A new link, whose connections have written nothing yet.
    let newcomer = connect(sentinel_env(&cluster), &[("LOCK_SAFETY", "strict")])
        .await
        .expect("connect");
    for _ in 0..3 {
        let refused = newcomer.try_acquire(NAME).await.expect_err("nobody has it");
        assert!(
            matches!(refused, Error::NotReplicated { .. } | Error::Held(_)),
            "{refused}"
        );
    }
    for replica in [1, 2] {
        cluster.node(replica).resume().expect("SIGCONT");
    }
    let lease = soon("a lease", newcomer.acquire(NAME))
        .await
        .expect("a lease");
    lease.release().await.expect("a release");
}

/// A ticket that was used once, and a promoted replica that has not heard of it: taking over is granting, and waits for
/// the gate like every other grant.
#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_not_good_twice_when_the_promoted_replica_missed_its_first_use() {
    if let Err(reason) = netns::available() {
        eprintln!("skipped: {reason}");
        return;
    }
    let network = netns::Network::start(6).expect("a network");
    let cluster = cluster()
        .on(&network.hosts()[..3])
        .sentinels_on(&network.hosts()[3..])
        .start()
        .expect("a cluster");
    let stranded = Stranded::connect(&cluster, &[("LOCK_SAFETY", "strict")]).await;
    let other = strict(&cluster).await;
    prefer(&cluster, 2);
    let ticket = soon("a lease", other.acquire(NAME))
        .await
        .expect("a lease")
        .into_ticket();
    cluster
        .node(0)
        .wait_for_replicas(2, LONG)
        .expect("replicas in step");
    network.cut(0, 2).expect("a cut");
    let holder = stranded.locker.adopt(&ticket).await.expect("the first use");
    cluster.node(0).kill();
    stranded.strand();
    assert_eq!(
        cluster.wait_for_new_master(0).expect("a new master"),
        2,
        "the one that lags is preferred"
    );
    while holder.is_valid() {
        let asked = std::time::Instant::now();
        let second = other.adopt(&ticket).await;
        assert!(
            second.is_err() || !holder.is_valid(),
            "adopted twice: {second:?}, {:?}",
            asked.elapsed()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
