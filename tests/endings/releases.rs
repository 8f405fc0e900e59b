//! A release says what it did, whatever else is under way.

use std::time::Duration;

use leasehold::{AcquireOptions, Released, Renewal};
use leasehold_testkit::RedisServer;
use leasehold_tests::{connect, eventually, standalone_env};

/// A renewal whose reply comes after the release must not take the key back before it.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_during_a_renewal_is_still_a_release() {
    let redis = RedisServer::start().expect("redis-server");
    for safety in ["relaxed", "strict"] {
        let locker = connect(standalone_env(&redis), &[("LOCK_SAFETY", safety)])
            .await
            .expect("connect");
        let busy = AcquireOptions::new().renewal(Renewal::Every(Duration::from_millis(1)));
        for round in 0..200 {
            let held = locker
                .acquire("report")
                .options(&busy)
                .await
                .expect("a lease");
            tokio::time::sleep(Duration::from_millis(round % 4)).await;
            let released = held.release().await.expect("a release");
            assert_eq!(released, Released::Released, "{safety}, round {round}");
        }
    }
}

/// Nobody answers the release: the background goes on with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_nobody_answers_goes_on_in_the_background() {
    let redis = RedisServer::start().expect("redis-server");
    let long = [("LOCK_TTL", "60s"), ("LOCK_MAX_TTL", "60s")];
    let locker = connect(standalone_env(&redis), &long)
        .await
        .expect("connect");
    let held = locker.acquire("report").await.expect("a lease");
    redis.pause().expect("SIGSTOP");
    let unanswered = held.release().await.expect_err("nobody answers");
    assert!(unanswered.is_retryable(), "{unanswered}");
    redis.resume().expect("SIGCONT");
    eventually("the key is gone long before its time", async || {
        locker
            .inspect("report")
            .await
            .is_ok_and(|holder| holder.is_none())
    })
    .await;
}
