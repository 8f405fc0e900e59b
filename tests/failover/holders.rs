//! Those who hold while the master changes: each lease is verified on the new master at once, and
//! kept or reported lost.

use std::time::Duration;

use leasehold::{AcquireOptions, Lease, LostReason, Released, Renewal};
use leasehold_testkit::{Mode, SentinelCluster};
use leasehold_tests::{blocking, connect, fail_over, lease, patient, sentinel_env, soon};

const LONG: [(&str, &str); 2] = [("LOCK_TTL", "20s"), ("LOCK_MAX_TTL", "20s")];

/// Leases long enough that nothing but the verification can end them within the test.
#[tokio::test(flavor = "multi_thread")]
async fn leases_are_verified_on_the_new_master_at_once() {
    let cluster = patient().proxied(true).start().expect("a cluster");
    let map = cluster.address_map();
    let relaxed = [
        LONG[0],
        LONG[1],
        ("LOCK_SAFETY", "relaxed"),
        ("REDIS_ADDRESS_MAP", map.as_str()),
    ];
    let locker = connect(sentinel_env(&cluster), &relaxed)
        .await
        .expect("connect");
    let kept = lease(&locker, "kept").await;
    let unrenewed = AcquireOptions::new().renewal(Renewal::Off);
    let kept_unrenewed = locker.acquire("kept-2").options(&unrenewed).await;
    let kept_unrenewed = kept_unrenewed.expect("a lease");
    let deadline = kept_unrenewed.deadline();
    let old = blocking(|| cluster.master_index()).expect("a master");
    blocking(|| {
        cluster
            .node(old)
            .wait_for_replicas(2, Duration::from_secs(10))
    })
    .expect("replicas in step");

    // The master is cut off from its replicas and from the Sentinels, but not from us: what is
    // granted now reaches nobody else.
    cluster
        .proxy(old)
        .set_mode(Mode::Blackhole)
        .expect("a black hole");
    let lost = lease(&locker, "lost").await;
    let lost_unrenewed = locker.acquire("lost-2").options(&unrenewed).await;
    let lost_unrenewed = lost_unrenewed.expect("a lease");
    let _ = fail_over(&cluster);

    for gone in [&lost, &lost_unrenewed] {
        let reason = soon("the loss", gone.lost()).await;
        assert!(
            matches!(reason, LostReason::Failover { epoch } if epoch > 0),
            "{reason}"
        );
        assert!(!gone.is_valid());
        let next = lease(&locker, gone.resource().as_str()).await;
        assert!(gone.fence() < next.fence());
    }
    assert!(kept.is_valid() && kept_unrenewed.is_valid());
    let drift = Duration::from_millis(100);
    assert!(
        kept_unrenewed.deadline() <= deadline + drift,
        "verifying prolongs nothing"
    );
    for kept in [kept, kept_unrenewed] {
        assert_eq!(kept.release().await.expect("a release"), Released::Released);
    }
}

/// S22. Renewals are under way all the time, so some are in flight when the master dies. What the
/// new master has is kept without a gap; what it has not is written again (strict mode).
#[tokio::test(flavor = "multi_thread")]
async fn renewals_in_flight_at_the_masters_death_end_no_lease() {
    let cluster = SentinelCluster::start().expect("a cluster");
    let locker = connect(sentinel_env(&cluster), &LONG)
        .await
        .expect("connect");
    let busy = AcquireOptions::new().renewal(Renewal::Every(Duration::from_millis(5)));
    let mut leases: Vec<Lease> = Vec::new();
    for number in 0..20 {
        let acquired = locker.acquire(format!("report-{number}")).options(&busy);
        leases.push(soon("a lease", acquired).await.expect("a lease"));
    }
    let old = blocking(|| cluster.kill_master()).expect("SIGKILL");
    let new = blocking(|| cluster.wait_for_new_master(old)).expect("a new master");
    for held in &leases {
        soon("a confirmed renewal", async {
            while held.renew().await.is_err() {
                assert!(held.is_valid(), "{}", held.lost().await);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        let key = blocking(|| cluster.node(new).cli(&["GET", held.resource().as_str()]));
        assert_ne!(key.expect("GET"), "");
    }
    for held in leases {
        assert_eq!(held.release().await.expect("a release"), Released::Released);
    }
}
