//! One lease on one Redis: granted, renewed, lost in time, released by its owner alone.

mod commands;
mod handover;
mod interface;
mod limits;
mod queue;
mod slots;
mod waiting;

use std::time::{Duration, Instant};

use leasehold::{AcquireOptions, Error, Lease, Locker, LostReason, Released, Renewal};
use leasehold_testkit::RedisServer;
use leasehold_tests::{connect, eventually, soon, standalone_env};

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_excludes_others_until_it_is_released() {
    let redis = RedisServer::start().expect("redis-server");
    let first = connect(standalone_env(&redis), &[("LOCK_OWNER", "first")])
        .await
        .expect("connect");
    let second = connect(standalone_env(&redis), &[]).await.expect("connect");

    let lease = first.acquire("report").await.expect("a lease");
    assert!(lease.is_valid());
    let refused = second.try_acquire("report").await.expect_err("it is held");
    let Error::Held(held) = refused else {
        panic!("{refused}")
    };
    assert_eq!(held.owner.as_deref(), Some("first"));
    assert!(
        held.remaining
            .is_some_and(|left| left <= Duration::from_secs(3))
    );

    assert_eq!(
        lease.release().await.expect("a release"),
        Released::Released
    );
    let next = second.try_acquire("report").await.expect("it is free");
    drop(next);
    eventually("the dropped lease is released", async || {
        first.inspect("report").await.expect("inspect").is_none()
    })
    .await;
}

async fn lease_with(locker: &Locker, options: &AcquireOptions) -> Lease {
    let lease = locker.acquire("report").options(options).await;
    lease.expect("a lease")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_outlives_its_ttl_while_it_is_renewed() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    let ttl = Duration::from_secs(1);
    let lease = lease_with(&locker, &AcquireOptions::new().ttl(ttl)).await;
    let unrenewed = Instant::now() + ttl;
    eventually("the first TTL to be over", async || {
        unrenewed < Instant::now()
    })
    .await;
    assert!(lease.is_valid() && unrenewed < lease.deadline());
    assert_eq!(
        lease.release().await.expect("a release"),
        Released::Released
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unrenewed_lease_is_lost_before_its_key_expires() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    let options = AcquireOptions::new()
        .ttl(Duration::from_millis(400))
        .renewal(Renewal::Off);
    let lease = lease_with(&locker, &options).await;
    let reason = soon("the loss", lease.lost()).await;
    assert_eq!(reason, LostReason::Expired { because: None });
    assert!(!lease.is_valid());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_is_told_in_time_when_redis_falls_silent() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    let ttl = Duration::from_millis(600);
    let lease = lease_with(&locker, &AcquireOptions::new().ttl(ttl)).await;
    redis.pause().expect("SIGSTOP");
    // Nothing that the server has promised ends later than this.
    let key_expires = Instant::now() + ttl;
    let reason = soon("the loss", lease.lost()).await;
    assert!(matches!(reason, LostReason::Expired { .. }), "{reason}");
    assert!(lease.deadline() < key_expires.min(Instant::now()));
    redis.resume().expect("SIGCONT");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_or_deleted_key_is_reported() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    let options = AcquireOptions::new().ttl(Duration::from_secs(2));
    let lease = lease_with(&locker, &options).await;
    redis.command(&["SET", "report", "foreign"]).expect("SET");
    let reason = soon("the loss", lease.lost()).await;
    assert_eq!(
        reason.to_string(),
        "its key now belongs to foreign… (no Leasehold client)"
    );
    assert!(matches!(
        lease.release().await,
        Ok(Released::HeldByAnother { .. })
    ));
    redis.command(&["DEL", "report"]).expect("DEL");

    let lease = lease_with(&locker, &options).await;
    redis.command(&["DEL", "report"]).expect("DEL");
    assert_eq!(soon("the loss", lease.lost()).await, LostReason::Deleted);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_clients_and_leases_exclude_each_other() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    let lease = locker.acquire("report").await.expect("a lease");
    let refused = redis
        .cli(&["SET", "report", "python", "NX", "PX", "5000"])
        .expect("redis-cli");
    assert_eq!(refused.trim(), "");
    lease.release().await.expect("a release");

    let granted = redis
        .cli(&["SET", "report", "python", "NX", "PX", "5000"])
        .expect("redis-cli");
    assert_eq!(granted.trim(), "OK");
    let refused = locker
        .try_acquire("report")
        .await
        .expect_err("held by the plain client");
    assert!(
        refused
            .to_string()
            .starts_with("`report` is held by python… (no Leasehold client)")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn with_lock_can_be_spawned_and_gives_the_lock_back() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    let worker = locker.clone();
    let work = tokio::spawn(async move {
        worker
            .with_lock("report", async |lease| lease.fence())
            .await
            .expect("the work")
    });
    let first = work.await.expect("the task");
    let second = locker
        .with_lock("report", async |lease| lease.fence())
        .await
        .expect("the work");
    assert!(first < second);
    assert!(locker.inspect("report").await.expect("inspect").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_mode_on_one_redis_does_not_count_its_replicas() {
    let redis = RedisServer::start().expect("redis-server");
    let _replica = RedisServer::builder()
        .replica_of("127.0.0.1", redis.port())
        .start()
        .expect("a replica");
    redis
        .wait_for_replicas(1, leasehold_tests::PATIENCE)
        .expect("a replica");
    let strict = [("LOCK_SAFETY", "strict"), ("LOCK_ACQUIRE_TIMEOUT", "20s")];
    let locker = connect(standalone_env(&redis), &strict)
        .await
        .expect("connect");
    let lease = locker.acquire("report").await.expect("a lease");
    assert_eq!(
        lease.release().await.expect("a release"),
        Released::Released
    );
}
