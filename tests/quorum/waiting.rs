//! Waiters among processes: each member keeps a queue, and a release calls the first.

use std::time::Duration;

use leasehold::{Error, Locker};
use leasehold_testkit::RedisServer;
use leasehold_tests::eventually;
use redis::Value;

use super::{holders, ready_with, servers};

/// Nobody who waits looks by itself within the test's patience.
const LONG: [(&str, &str); 3] = [
    ("LOCK_TTL", "8s"),
    ("LOCK_MAX_TTL", "8s"),
    ("LOCK_RETRY_INTERVAL", "60s"),
];
/// Far less than a lease, far more than a message takes.
const PATIENCE: Duration = Duration::from_secs(4);

/// Waits until so many wait at every member.
async fn waiting(servers: &[RedisServer], count: i64) {
    eventually("all wait", async || {
        let all = |server: &RedisServer| {
            let count_of = server.command(&["ZCARD", "{report}:queue"]);
            count_of.is_ok_and(|found| found == Value::Int(count))
        };
        servers.iter().all(all)
    })
    .await;
}

async fn lockers(servers: &[RedisServer], count: usize) -> Vec<Locker> {
    let mut lockers = Vec::new();
    for number in 0..count {
        lockers.push(ready_with(servers, &format!("worker-{number}"), &LONG).await);
    }
    lockers
}

#[tokio::test(flavor = "multi_thread")]
async fn waiters_are_called_in_the_order_of_their_arrival() {
    let servers = servers(3);
    let lockers = lockers(&servers, 4).await;
    let mut lease = lockers[0].acquire("report").await.expect("a lease");
    let mut waiters = Vec::new();
    for (before, locker) in (1..).zip(&lockers[1..]) {
        let locker = locker.clone();
        waiters.push(tokio::spawn(async move { locker.acquire("report").await }));
        waiting(&servers, before).await;
    }
    for waiter in waiters {
        lease.release().await.expect("a release");
        let next = tokio::time::timeout(PATIENCE, waiter).await;
        lease = next.expect("a call").expect("the task").expect("a lease");
    }
    waiting(&servers, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_that_gives_up_leaves_every_queue() {
    let servers = servers(3);
    let lockers = lockers(&servers, 2).await;
    let _lease = lockers[0].acquire("report").await.expect("a lease");
    let waiter = lockers[1].clone();
    let waiter = tokio::spawn(async move { waiter.acquire("report").await });
    waiting(&servers, 1).await;
    waiter.abort();
    waiting(&servers, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_attempt_keeps_nothing_at_a_minority() {
    let servers = servers(3);
    let lockers = lockers(&servers, 1).await;
    for server in &servers[..2] {
        let set = server.command(&["SET", "report", "other", "PX", "60000"]);
        set.expect("SET");
    }
    let refused = lockers[0].try_acquire("report").await;
    assert!(matches!(refused, Err(Error::Held(_))), "{refused:?}");
    let given_back = tokio::time::timeout(
        PATIENCE,
        eventually("the third is given back", async || {
            holders(&servers, "report").await == 2
        }),
    );
    given_back.await.expect("before the lease would have ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_lost_the_lock_gets_it_back_before_those_who_wait() {
    let servers = servers(3);
    let lockers = lockers(&servers, 2).await;
    let lease = lockers[0].acquire("report").await.expect("a lease");
    let waiter = lockers[1].clone();
    let waiter = tokio::spawn(async move { waiter.acquire("report").await });
    waiting(&servers, 1).await;
    let holder = |server: &RedisServer| server.command(&["GET", "report"]).expect("GET");
    let token = holder(&servers[0]);
    servers[2].command(&["DEL", "report"]).expect("DEL");
    lease.renew().await.expect("a renewal by the other two");
    eventually("the third has it again", async || {
        holder(&servers[2]) == token
    })
    .await;
    lease.release().await.expect("a release");
    let next = tokio::time::timeout(PATIENCE, waiter).await;
    let next = next.expect("a call").expect("the task").expect("a lease");
    next.release().await.expect("a release");
}
