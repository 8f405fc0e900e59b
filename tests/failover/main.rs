//! Sentinel: the master dies, hangs, is deposed; leases are kept or reported lost, waiters go on.

mod delay;
mod holders;
mod listeners;
mod masters;
mod replicas;
mod revocations;
mod takeover;
mod waiters;

use std::time::Duration;

use leasehold::{Error, Released};
use leasehold_testkit::SentinelCluster;
use leasehold_tests::{connect, fail_over, patient, sentinel_env, soon};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_master_is_replaced_and_work_resumes() {
    let cluster = SentinelCluster::start().expect("a cluster");
    for safety in ["relaxed", "strict"] {
        let locker = connect(sentinel_env(&cluster), &[("LOCK_SAFETY", safety)])
            .await
            .expect("connect");
        let lease = soon("a lease", locker.acquire("before"))
            .await
            .expect("a lease");
        let before = lease.fence();
        assert_eq!(
            lease.release().await.expect("a release"),
            Released::Released
        );

        let old = cluster.kill_master().expect("SIGKILL");
        let next = soon("a lease on the new master", locker.acquire("before")).await;
        let next = next.expect("a lease on the new master");
        assert!(next.fence() > before);
        drop(next);
        cluster.node(old).restart().expect("a restart");
        cluster.wait_until_stable().expect("a stable cluster");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_mode_keeps_the_gate_closed_after_a_failover() {
    let cluster = patient().start().expect("a cluster");
    let locker = connect(sentinel_env(&cluster), &[]).await.expect("connect");
    let held = soon("a lease", locker.acquire("held"))
        .await
        .expect("a lease");
    let _ = fail_over(&cluster);
    let refused = loop {
        match locker.try_acquire("other").await {
            Err(Error::GateClosed(closed)) if closed.remaining.is_some() => break closed,
            Err(error) if error.is_retryable() => {}
            other => panic!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(
        refused
            .remaining
            .is_some_and(|left| left <= Duration::from_secs(3)),
        "{refused}"
    );
    soon("a lease after the gate", locker.acquire("other"))
        .await
        .expect("a lease")
        .release()
        .await
        .expect("a release");
    assert!(
        held.is_valid(),
        "the held lease survives: {}",
        held.lost().await
    );
    assert_eq!(held.release().await.expect("a release"), Released::Released);
}
