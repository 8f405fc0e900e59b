//! What a program sees: requests, work under a lease, errors and tickets.

use std::error::Error as _;
use std::time::Duration;

use leasehold::{Error, Lease, Released, Ticket, blocking};
use leasehold_testkit::RedisServer;
use leasehold_tests::{connect, soon, standalone_env};

/// Awaits while it borrows the lease, as work does.
async fn work(lease: &Lease, rounds: usize) -> usize {
    for _ in 0..rounds {
        tokio::time::sleep(Duration::from_millis(1)).await;
        lease.check().expect("it is held");
    }
    rounds
}

#[tokio::test(flavor = "multi_thread")]
async fn work_under_a_lease_can_be_spawned_wherever_it_comes_from() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    let slots = locker.slots("gpu", 2).expect("slots");
    let patience = Duration::from_secs(20);
    let with_lock = locker.clone();
    let request = locker.acquire("report").timeout(patience).label("reports");
    let tasks = [
        tokio::spawn(async move {
            let name = String::from("report");
            with_lock
                .with_lock(name.as_str(), async |lease| {
                    work(lease, 3).await + name.len()
                })
                .await
        }),
        tokio::spawn(request.with_lock(async |lease| work(lease, 9).await)),
        tokio::spawn(async move {
            let slot = slots.acquire().ttl(Duration::from_secs(2));
            slot.with_lock(async |lease| work(lease, 9).await).await
        }),
    ];
    for task in tasks {
        let worked = soon("the work", task).await.expect("the task");
        assert_eq!(worked.expect("a lease"), 9);
    }
    for resource in ["report", "gpu:0", "gpu:1"] {
        let holder = locker.inspect(resource).await.expect("an answer");
        assert_eq!(holder, None, "{resource}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_under_a_lease_ends_with_it() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    let request = locker.acquire("report").ttl(Duration::from_millis(300));
    let lost = request.with_lock(async |lease| {
        redis.command(&["DEL", "report"]).expect("DEL");
        lease.watch().lost().await;
        std::future::pending::<()>().await;
    });
    let lost = soon("the loss", lost).await.expect_err("it is lost");
    assert!(matches!(lost, Error::Lost { .. }), "{lost}");
}

/// `fn main() -> Result<(), Error>` prints `Debug`; others print `Display` and each source.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_says_everything_once() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &[("LOCK_OWNER", "nightly")])
        .await
        .expect("connect");
    let _lease = locker.acquire("report").await.expect("a lease");
    let timeout = Duration::from_millis(500);
    let refused = locker.acquire("report").timeout(timeout).await;
    let refused = refused.expect_err("it is held");
    assert_eq!(refused.to_string(), "`report` was not leased within 500ms");
    let source = refused.source().expect("what prevented it");
    assert!(
        source
            .to_string()
            .starts_with("`report` is held by nightly"),
        "{source}"
    );
    assert!(source.source().is_none());
    assert_eq!(format!("{refused:?}"), format!("{refused}: {source}"));

    redis.kill();
    let unavailable = loop {
        match locker.try_acquire("other").await {
            Err(error @ Error::Unavailable(_)) => break error,
            other => drop(other),
        }
    };
    assert!(unavailable.source().is_none(), "{unavailable:?}");
    assert_eq!(format!("{unavailable:?}"), unavailable.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_says_which_version_it_is() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    let ticket = locker
        .acquire("order")
        .await
        .expect("a lease")
        .into_ticket();
    let mut paper = serde_json::to_value(&ticket).expect("JSON");
    assert_eq!(paper["version"], 1);
    paper["version"] = 2.into();
    let later: Ticket = serde_json::from_value(paper.clone()).expect("JSON");
    let refused = locker
        .adopt(&later)
        .await
        .expect_err("it may mean anything");
    assert!(matches!(refused, Error::TicketVersion { .. }), "{refused}");
    paper.as_object_mut().expect("an object").remove("version");
    let earlier: Ticket = serde_json::from_value(paper).expect("JSON");
    let adopted = locker.adopt(&earlier).owner("the heir").await;
    let adopted = adopted.expect("written before there were versions");
    let holder = locker.inspect("order").await.expect("an answer");
    let owner = holder.and_then(|holder| holder.owner);
    assert_eq!(owner.as_deref(), Some("the heir"));
    assert_eq!(
        adopted.release().await.expect("a release"),
        Released::Released
    );
}

#[test]
fn a_blocking_program_has_the_same() {
    let redis = RedisServer::start().expect("redis-server");
    let config = leasehold::Config::from_vars(standalone_env(&redis)).expect("a configuration");
    let locker = blocking::Locker::connect(config).expect("connect");
    let lease = locker
        .acquire("report")
        .ttl(Duration::from_secs(2))
        .timeout(Duration::MAX)
        .label("reports")
        .wait()
        .expect("a lease");
    let held = locker.try_acquire("report").wait();
    assert!(matches!(held, Err(Error::Held(_))), "{held:?}");
    let adopted = locker.adopt(&lease.into_ticket()).wait().expect("adopted");
    adopted.release().expect("a release");
    let slots = locker.slots("gpu", 1).expect("slots");
    let inner = slots.acquire().with_lock(|lease| {
        let second = slots.try_acquire().wait();
        assert!(matches!(second, Err(Error::Held(_))), "{second:?}");
        lease.slot()
    });
    assert_eq!(inner.expect("a slot"), 0);
    assert_eq!(slots.inspect().expect("an answer"), [None]);
    let fence = locker.with_lock("report", blocking::Lease::fence);
    assert!(fence.is_ok());
}
