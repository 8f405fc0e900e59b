//! The queue among processes: waiters that do not come, that ask more or less often, and that follow one that left.

use std::time::{Duration, Instant};

use leasehold::{Error, Locker};
use leasehold_testkit::{Proxy, RedisServer};
use leasehold_tests::{connect, eventually, port_env, soon};
use redis::Value;

use crate::waiting::{
    STOPPED, connection, eager, enter_first, patient, queue_length, queued, stopped_waiter,
};

/// Waiters that stand still while their connections live on cost one claim in all, not one each: the last in
/// line, which would look by itself only after the test, takes the lock when the first claim ends.
#[tokio::test(flavor = "multi_thread")]
async fn any_number_of_frozen_waiters_costs_one_claim() {
    const FROZEN: usize = 8;
    let redis = RedisServer::start().expect("redis-server");
    let (holder, waiter) = (patient(&redis).await, patient(&redis).await);
    let lease = holder.acquire("report").await.expect("a lease");
    let mut connection = connection(&redis);
    let mut calls = connection.as_pubsub();
    for number in 0..FROZEN {
        let frozen = format!("f{number}");
        enter_first(&redis, &frozen);
        calls
            .subscribe(format!("leasehold:wake:{frozen}"))
            .expect("SUBSCRIBE");
    }
    let waiting = tokio::spawn(async move { waiter.acquire("report").await });
    queued(&redis, "report", FROZEN + 1).await;
    lease.release().await.expect("a release");
    let _lease = soon("the turn after one claim", waiting)
        .await
        .expect("the task")
        .expect("a lease");
    // The others keep their places: none of them was called and given a claim of its own.
    assert_eq!(
        queue_length(&redis, "report").await,
        (FROZEN - 1).to_string()
    );
}

/// The server's time in ms.
fn server_ms(redis: &RedisServer) -> u64 {
    let time = redis.cli(&["TIME"]).expect("TIME");
    let mut numbers = time.lines().map(|number| number.trim().parse::<u64>());
    let (Some(Ok(seconds)), Some(Ok(micros))) = (numbers.next(), numbers.next()) else {
        panic!("{time}")
    };
    seconds * 1_000 + micros / 1_000
}

/// A place that counts for less than a claim from now on is not taken for one that was called already.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_whose_time_is_almost_over_is_called() {
    let redis = RedisServer::start().expect("redis-server");
    let holder = patient(&redis).await;
    let mut connection = connection(&redis);
    let mut calls = stopped_waiter(&redis, &mut connection);
    soon("a release within that time", async {
        loop {
            redis
                .command(&["DEL", "{report}:queue", "{report}:alive"])
                .expect("DEL");
            let lease = holder.acquire("report").await.expect("a lease");
            let began = Instant::now();
            let until = server_ms(&redis) + 990;
            enter_until(&redis, STOPPED, until);
            lease.release().await.expect("a release");
            if began.elapsed() < Duration::from_millis(900) {
                return;
            }
        }
    })
    .await;
    let called = calls.get_message().expect("the call");
    assert_eq!(called.get_payload_bytes(), b"free - report");
}

/// Enters a waiter that counts until then.
fn enter_until(redis: &RedisServer, waiter: &str, until_ms: u64) {
    enter_first(redis, waiter);
    let until = until_ms.to_string();
    redis
        .command(&["HSET", "{report}:alive", waiter, &until])
        .expect("HSET");
}

/// One that looks seldom keeps its place for as long as it counts, although one that looks often came after it.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_often_does_not_shorten_the_time_of_who_asks_seldom() {
    let redis = RedisServer::start().expect("redis-server");
    let holder = patient(&redis).await;
    let _lease = holder.acquire("report").await.expect("a lease");
    let mut waiters = Vec::new();
    for (before, locker) in [patient(&redis).await, eager(&redis).await]
        .into_iter()
        .enumerate()
    {
        waiters.push(tokio::spawn(async move { locker.acquire("report").await }));
        queued(&redis, "report", before + 1).await;
    }
    for key in ["{report}:queue", "{report}:alive"] {
        let left = redis.command(&["PTTL", key]).expect("PTTL");
        assert!(
            matches!(left, Value::Int(left) if left > 300_000),
            "{key} is forgotten before the patient one asks again: {left:?}"
        );
    }
}

async fn behind(proxy: &Proxy) -> Locker {
    let overrides = [
        ("LOCK_RETRY_INTERVAL", "300s"),
        ("LOCK_TTL", "60s"),
        ("LOCK_MAX_TTL", "60s"),
        // Nothing is given up while the server stands still.
        ("REDIS_COMMAND_TIMEOUT", "19s"),
    ];
    connect(port_env(proxy.port()), &overrides)
        .await
        .expect("connect")
}

/// A cancelled waiter leaves the queue, and the server does not know the script for that. What is sent again then
/// comes behind the next waiter of the same locker and takes that one out of the queue, which therefore asks again.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_that_leaves_takes_no_later_one_of_its_locker_with_it() {
    let redis = RedisServer::start().expect("redis-server");
    let proxy = Proxy::start(redis.address()).expect("a proxy");
    let (holder, locker) = (patient(&redis).await, behind(&proxy).await);
    let lease = holder.acquire("report").await.expect("a lease");
    let wait = || {
        let locker = locker.clone();
        tokio::spawn(async move { locker.acquire("report").await })
    };
    let first = wait();
    queued(&redis, "report", 1).await;
    let place = redis.cli(&["ZRANGE", "{report}:queue", "0", "0"]);
    let place = place.expect("ZRANGE");
    redis.command(&["SCRIPT", "FLUSH"]).expect("SCRIPT FLUSH");
    // The server learns again how a waiter enters, and nothing else.
    let refused = holder.try_acquire("report").await;
    assert!(matches!(refused, Err(Error::Held(_))), "{refused:?}");

    let sent = proxy.count(place.trim());
    redis.pause().expect("SIGSTOP");
    first.abort();
    eventually("the first one to leave", async || sent.seen() == 1).await;
    let second = wait();
    eventually("the second one to ask", async || sent.seen() == 2).await;
    redis.resume().expect("SIGCONT");
    eventually("the second one to be told of the holder", async || {
        matches!(locker.obstacle("report"), Ok(Some(Error::Held(_))))
    })
    .await;
    // What is sent again by now has arrived before these.
    for _ in 0..100 {
        locker.inspect("report").await.expect("an answer");
    }
    queued(&redis, "report", 1).await;
    lease.release().await.expect("a release");
    let next = soon("the call", second).await.expect("the task");
    next.expect("a lease").release().await.expect("a release");
}

/// A cancelled waiter cannot leave at once, and when it can, another one of its locker has its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_that_follows_one_that_has_not_left_yet_keeps_its_place() {
    let redis = RedisServer::start().expect("redis-server");
    let (holder, locker) = (patient(&redis).await, patient(&redis).await);
    let lease = holder.acquire("report").await.expect("a lease");
    let _other = holder.acquire("other").await.expect("a lease");
    let wait = |name: &'static str| {
        let locker = locker.clone();
        tokio::spawn(async move { locker.acquire(name).await })
    };
    let (first, other) = (wait("report"), wait("other"));
    for name in ["report", "other"] {
        queued(&redis, name, 1).await;
    }
    // Leaving takes ZREM, and entering does not.
    let permit = |rule: &str| {
        let words = ["ACL", "SETUSER", "default", rule];
        redis.command(&words).expect("ACL SETUSER");
    };
    permit("-zrem");
    let refusals = || {
        let stats = redis.info("errorstats").expect("INFO");
        let counts = stats
            .iter()
            .filter(|(name, _)| name.starts_with("errorstat_"));
        let counts = counts.filter_map(|(_, count)| count.strip_prefix("count="));
        counts.map(|count| count.parse().unwrap_or(0)).sum::<u32>()
    };
    let before = refusals();
    first.abort();
    other.abort();
    eventually("both to be refused", async || refusals() >= before + 2).await;
    let second = wait("report");
    eventually("the second one to be told of the holder", async || {
        matches!(locker.obstacle("report"), Ok(Some(Error::Held(_))))
    })
    .await;
    let place = || redis.cli(&["ZRANGE", "{report}:queue", "0", "-1", "WITHSCORES"]);
    let kept = place().expect("ZRANGE");
    permit("+zrem");
    // What rests is tried again together.
    queued(&redis, "other", 0).await;
    for _ in 0..100 {
        locker.inspect("report").await.expect("an answer");
    }
    assert_eq!(place().expect("ZRANGE"), kept);
    lease.release().await.expect("a release");
    let next = soon("the call", second).await.expect("the task");
    next.expect("a lease").release().await.expect("a release");
}
