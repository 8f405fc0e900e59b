//! Leases that travel between processes, and several held together.

use std::time::Duration;

use leasehold::{AcquireOptions, Error, LostReason, Released, Ticket};
use leasehold_testkit::RedisServer;
use leasehold_tests::{connect, soon, standalone_env};

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_takes_a_lease_to_another_process() {
    let redis = RedisServer::start().expect("redis-server");
    let first = connect(standalone_env(&redis), &[]).await.expect("connect");
    let second = connect(standalone_env(&redis), &[]).await.expect("connect");
    let third = connect(standalone_env(&redis), &[]).await.expect("connect");

    let lease = first.acquire("order").await.expect("a lease");
    let before = lease.fence();
    let paper = serde_json::to_string(&lease.into_ticket()).expect("JSON");
    let ticket: Ticket = serde_json::from_str(&paper).expect("JSON");
    assert!(
        first.try_acquire("order").await.is_err(),
        "it is still held"
    );

    let adopted = second.adopt(&ticket).await.expect("adopted");
    assert!(adopted.fence() > before);
    let again = second
        .adopt(&ticket)
        .await
        .expect_err("a ticket is good for one journey");
    assert!(
        matches!(
            again,
            Error::Lost {
                reason: LostReason::Stolen { .. },
                ..
            }
        ),
        "{again}"
    );

    let adopted = third.adopt(&adopted.into_ticket()).await.expect("adopted");
    assert_eq!(
        adopted.release().await.expect("a release"),
        Released::Released
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_former_holder_is_told() {
    let redis = RedisServer::start().expect("redis-server");
    let first = connect(standalone_env(&redis), &[("LOCK_TTL", "2s")])
        .await
        .expect("connect");
    let second = connect(standalone_env(&redis), &[("LOCK_OWNER", "second")])
        .await
        .expect("connect");
    let lease = first.acquire("order").await.expect("a lease");
    let _adopted = second.adopt(&lease.ticket()).await.expect("adopted");
    let reason = soon("the loss", lease.lost()).await;
    assert_eq!(
        reason,
        LostReason::Stolen {
            by: "second".into()
        }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_travel_too() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    let slots = locker.slots("gpu", 3).expect("slots");
    let lease = slots.try_acquire().await.expect("a slot");
    let slot = lease.slot();
    let adopted = locker.adopt(&lease.into_ticket()).await.expect("adopted");
    assert_eq!(adopted.slot(), slot);
    assert_eq!(
        adopted.release().await.expect("a release"),
        Released::Released
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_ticket_is_refused() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    let ticket = locker
        .acquire("order")
        .await
        .expect("a lease")
        .into_ticket();
    redis.command(&["DEL", "order"]).expect("DEL");
    let error = locker.adopt(&ticket).await.expect_err("it is gone");
    assert_eq!(
        error.to_string(),
        "the lease on `order` is lost: its key is gone: it expired, or was released or deleted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn several_resources_are_leased_all_or_none() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    let other = connect(standalone_env(&redis), &[]).await.expect("connect");
    let options = AcquireOptions::new().timeout(Duration::from_millis(300));
    let blocked = other.acquire("b").await.expect("a lease");
    let error = locker
        .acquire_all(["c", "a", "b"])
        .options(&options)
        .await
        .expect_err("b is held");
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    blocked.release().await.expect("a release");

    let leases = locker
        .acquire_all(["c", "a", "b", "a"])
        .options(&options)
        .await
        .expect("all three");
    let names: Vec<&str> = leases
        .iter()
        .map(|lease| lease.resource().as_str())
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
    redis.command(&["DEL", "b"]).expect("DEL");
    let (resource, reason) = soon("the loss", leases.lost()).await;
    assert_eq!((resource.as_str(), reason), ("b", LostReason::Deleted));
    leases.release().await.expect("a release");
    assert!(other.try_acquire("a").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn overlapping_sets_do_not_block_each_other_for_ever() {
    let redis = RedisServer::start().expect("redis-server");
    let mut workers = Vec::new();
    for names in [
        ["a", "b", "c"],
        ["c", "b", "a"],
        ["b", "c", "a"],
        ["c", "a", "b"],
    ] {
        let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
        workers.push(tokio::spawn(async move {
            for _ in 0..20 {
                let leases = locker
                    .acquire_all(names)
                    .options(&AcquireOptions::new())
                    .await
                    .expect("all three");
                leases.release().await.expect("a release");
            }
        }));
    }
    for worker in workers {
        soon("all turns", worker).await.expect("the task");
    }
}

#[test]
fn a_program_without_a_runtime_can_lock() {
    let redis = RedisServer::start().expect("redis-server");
    let config = leasehold::Config::from_vars(standalone_env(&redis)).expect("a configuration");
    let locker = leasehold::blocking::Locker::connect(config).expect("connect");
    let lease = locker.acquire("report").wait().expect("a lease");
    assert!(locker.try_acquire("report").wait().is_err());
    assert!(lease.is_valid());
    redis.command(&["SET", "report", "thief"]).expect("SET");
    let reason = lease
        .lost_within(Duration::from_secs(20))
        .expect("the loss");
    assert!(matches!(reason, LostReason::Stolen { .. }), "{reason}");
    redis.command(&["DEL", "report"]).expect("DEL");
    let lease = locker.acquire("report").wait().expect("a lease");
    assert_eq!(lease.release().expect("a release"), Released::Released);
}
