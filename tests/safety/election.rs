//! Sentinels that are forced, and Sentinels that forget.

use std::time::Duration;

use leasehold_tests::soon;

use crate::rivals::{NAME, Rival, TTL, cluster, referee, strict};

/// E6: two forced failovers at once skip the vote, and for seconds two masters have one epoch.
#[tokio::test(flavor = "multi_thread")]
async fn two_failovers_at_once_leave_one_holder() {
    let cluster = cluster().start().expect("a cluster");
    let (one, other) = (strict(&cluster).await, strict(&cluster).await);
    for _ in 0..2 {
        let holder = soon("a lease", one.acquire(NAME)).await.expect("a lease");
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
