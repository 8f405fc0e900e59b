//! S23. Strict mode when too few data nodes confirm a write.

use std::time::Duration;

use leasehold::{Error, Released};
use leasehold_tests::{
    PATIENCE, blocking, connect, eventually, lease, patient, sentinel_env, soon,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_too_few_data_nodes_confirm_is_taken_back() {
    let cluster = patient().start().expect("a cluster");
    let locker = connect(sentinel_env(&cluster), &[]).await.expect("connect");
    let held = lease(&locker, "held").await;
    let replicas = blocking(|| cluster.replica_indices()).expect("replicas");
    for index in &replicas {
        cluster.node(*index).pause().expect("SIGSTOP");
    }
    let refused = soon("the refusal", locker.try_acquire("report")).await;
    let refused = refused.expect_err("nobody confirms");
    assert_eq!(
        refused.to_string(),
        "`report` is not leased: 1 of 3 data nodes have the write, and strict mode needs 2; bring \
         the replicas back, or set LOCK_SAFETY=relaxed and do without one holder across failovers"
    );
    assert!(refused.is_retryable());
    eventually("it is taken back", async || {
        locker
            .inspect("report")
            .await
            .is_ok_and(|holder| holder.is_none())
    })
    .await;
    let unconfirmed = soon("the refusal", held.renew())
        .await
        .expect_err("nobody confirms");
    assert!(
        matches!(unconfirmed, Error::NotReplicated { .. }),
        "{unconfirmed}"
    );

    // One is enough for a majority. The lease may have ended meanwhile, which its holder was told.
    cluster.node(replicas[0]).resume().expect("SIGCONT");
    let granted = lease(&locker, "report").await;
    assert_eq!(
        granted.release().await.expect("a release"),
        Released::Released
    );
    cluster.node(replicas[1]).resume().expect("SIGCONT");
    let old = blocking(|| cluster.master()).expect("a master");
    blocking(|| old.wait_for_replicas(2, PATIENCE)).expect("replicas in step");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_is_told_that_replicas_are_missing() {
    let cluster = patient().start().expect("a cluster");
    let locker = connect(sentinel_env(&cluster), &[]).await.expect("connect");
    drop(lease(&locker, "report").await);
    let replicas = blocking(|| cluster.replica_indices()).expect("replicas");
    for index in &replicas {
        cluster.node(*index).pause().expect("SIGSTOP");
    }
    let waiting = locker.acquire("report").timeout(Duration::from_secs(2));
    let late = soon("the end of the wait", waiting).await;
    let late = late.expect_err("nobody confirms");
    let Error::TimedOut { because, .. } = &late else {
        panic!("{late:?}")
    };
    let is_told = matches!(
        **because,
        Error::NotReplicated {
            acknowledged: 1,
            needed: 2,
            data_nodes: 3,
            ..
        }
    );
    assert!(is_told, "{late:?}");
}
