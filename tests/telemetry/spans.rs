//! Spans and events, on a real server.

use std::time::Duration;

use leasehold::{AcquireOptions, LostReason};
use leasehold_testkit::RedisServer;
use leasehold_tests::{connect, eventually, soon, standalone_env};

use crate::recorder::Recorder;

#[tokio::test]
async fn one_lease_is_told_from_the_call_to_the_end() {
    let (recorder, _guard) = Recorder::start();
    let server = RedisServer::builder().password("sesame-4711").start();
    let server = server.expect("a server");
    let locker = connect(
        standalone_env(&server),
        &[("REDIS_PASSWORD", "sesame-4711")],
    )
    .await;
    let locker = locker.expect("a locker");
    let lease = locker.acquire("report").await.expect("a lease");
    let fence = lease.fence().to_string();
    lease.renew().await.expect("a renewal");
    let token = server.command(&["GET", "report"]).expect("the token");
    lease.release().await.expect("a release");

    let acquire = recorder.one("lock.acquire");
    assert_eq!(acquire.field("resource"), "report");
    assert_eq!(acquire.field("outcome"), "granted");
    assert_eq!(acquire.field("fence"), fence);
    assert_eq!(acquire.field("db.system.name"), "redis");
    assert_eq!(acquire.field("otel.kind"), "client");
    let hold = recorder.one("lock.hold");
    assert_eq!(hold.field("outcome"), "released");
    assert_eq!(hold.field("fence"), fence);
    assert!(hold.is_within(&acquire), "{hold:?}");
    let renew = recorder.one("lock.renew");
    assert_eq!(renew.field("outcome"), "confirmed");
    assert!(renew.is_within(&hold), "{renew:?}");
    assert_eq!(recorder.one("lock.release").field("outcome"), "released");
    assert!(
        recorder
            .one("connected to the master")
            .field("node")
            .contains("127.0.0.1")
    );

    // The random part of the token is behind the last slash.
    let token = format!("{token:?}");
    let secret = token
        .rsplit('/')
        .next()
        .expect("a token")
        .trim_matches(['"', ')', ']', '\'']);
    assert!(secret.len() > 15, "{token}");
    assert!(!recorder.text().contains(&secret[..16]), "a token was told");
    assert!(
        !recorder.text().contains("sesame-4711"),
        "a password was told"
    );
}

#[tokio::test]
async fn a_loss_is_told_with_its_cause() {
    let (recorder, _guard) = Recorder::start();
    let server = RedisServer::start().expect("a server");
    let locker = connect(standalone_env(&server), &[])
        .await
        .expect("a locker");
    let lease = locker.acquire("report").await.expect("a lease");
    server.command(&["DEL", "report"]).expect("a deletion");
    let reason = soon("the loss", lease.lost()).await;
    assert_eq!(reason, LostReason::Deleted);
    let lost = recorder.one("lease lost");
    assert_eq!(lost.level, "WARN");
    assert_eq!(lost.field("cause"), "deleted");
    assert_eq!(lost.field("resource"), "report");
    assert_eq!(lost.field("fence"), lease.fence().to_string());
    let hold = recorder.one("lock.hold");
    assert_eq!(hold.field("outcome"), "lost");
    assert!(lost.is_within(&hold), "{lost:?}");
}

#[tokio::test]
async fn waiting_and_its_end_are_told() {
    let (recorder, _guard) = Recorder::start();
    let server = RedisServer::start().expect("a server");
    let first = connect(standalone_env(&server), &[])
        .await
        .expect("a locker");
    let second = connect(standalone_env(&server), &[])
        .await
        .expect("a locker");
    let _lease = first.acquire("report").await.expect("a lease");
    let brief = AcquireOptions::new().timeout(Duration::from_millis(200));
    second
        .acquire("report")
        .options(&brief)
        .await
        .expect_err("held");
    let acquire = recorder.named("lock.acquire").remove(1);
    assert_eq!(acquire.field("outcome"), "timed_out");
    assert_eq!(acquire.field("error.type"), "timed_out");
    let waits = recorder.named("waiting");
    assert!(waits[0].is_within(&acquire), "{waits:?}");
    assert!(
        waits[0].field("obstacle").contains("is held by"),
        "{waits:?}"
    );
}

#[tokio::test]
async fn a_restarted_master_is_told_apart_from_a_reconnect() {
    let (recorder, _guard) = Recorder::start();
    let server = RedisServer::start().expect("a server");
    let _locker = connect(standalone_env(&server), &[])
        .await
        .expect("a locker");
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]).ok();
    server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).ok();
    eventually("the reconnect", async || {
        !recorder.named("reconnected to the master").is_empty()
    })
    .await;
    server.restart().expect("a restart");
    let other = "connected to another incarnation of the master: a failover or a restart";
    eventually("the other incarnation", async || {
        !recorder.named(other).is_empty()
    })
    .await;
    assert!(recorder.named("lost the master").len() >= 2);
}
