//! Waiting across lockers: called by the release, in order, and never stuck behind the dead.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use leasehold::{AcquireOptions, Error, Locker};
use leasehold_testkit::RedisServer;
use leasehold_tests::{connect, eventually, soon, standalone_env};

/// A locker that would poll too late for any test: what wakes it is a call.
pub(crate) async fn patient(redis: &RedisServer) -> Locker {
    let overrides = [
        ("LOCK_RETRY_INTERVAL", "300s"),
        ("LOCK_TTL", "60s"),
        ("LOCK_MAX_TTL", "60s"),
    ];
    connect(standalone_env(redis), &overrides)
        .await
        .expect("connect")
}

pub(crate) async fn queue_length(redis: &RedisServer, resource: &str) -> String {
    redis
        .cli(&["ZCARD", &format!("{{{resource}}}:queue")])
        .expect("ZCARD")
        .trim()
        .to_owned()
}

/// Who waits for slots, in order.
fn slots_waiting(redis: &RedisServer, resource: &str) -> Vec<String> {
    let queue = format!("{{{resource}}}:slot-queue");
    let waiters = redis.cli(&["ZRANGE", &queue, "0", "-1"]).expect("ZRANGE");
    waiters.lines().map(str::to_owned).collect()
}

async fn slots_queued(redis: &RedisServer, resource: &str, count: usize) {
    let queue = format!("{{{resource}}}:slot-queue");
    eventually("the queue of the slots fills", async || {
        redis.cli(&["ZCARD", &queue]).expect("ZCARD").trim() == count.to_string()
    })
    .await;
}

pub(crate) async fn queued(redis: &RedisServer, resource: &str, count: usize) {
    eventually("the queue fills", async || {
        queue_length(redis, resource).await == count.to_string()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_calls_the_next_waiter() {
    let redis = RedisServer::start().expect("redis-server");
    let (first, second) = (patient(&redis).await, patient(&redis).await);
    let lease = first.acquire("report").await.expect("a lease");
    let waiting = tokio::spawn(async move { second.acquire("report").await });
    queued(&redis, "report", 1).await;
    lease.release().await.expect("a release");
    let _lease = soon("the call", waiting)
        .await
        .expect("the task")
        .expect("a lease");
    assert_eq!(queue_length(&redis, "report").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn waiters_are_served_in_the_order_of_asking() {
    let redis = RedisServer::start().expect("redis-server");
    let holder = patient(&redis).await;
    let lease = holder.acquire("report").await.expect("a lease");
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waiters = Vec::new();
    for number in 0..6 {
        let (locker, order) = (patient(&redis).await, order.clone());
        waiters.push(tokio::spawn(async move {
            let lease = locker.acquire("report").await.expect("a lease");
            order.lock().expect("the order").push(number);
            lease.release().await.expect("a release");
        }));
        queued(&redis, "report", number + 1).await;
    }
    lease.release().await.expect("a release");
    for waiter in waiters {
        soon("each turn", waiter).await.expect("the task");
    }
    assert_eq!(*order.lock().expect("the order"), [0, 1, 2, 3, 4, 5]);
}

/// A locker that asks often enough to see the queue move.
pub(crate) async fn eager(redis: &RedisServer) -> Locker {
    let overrides = [("LOCK_RETRY_INTERVAL", "50ms")];
    connect(standalone_env(redis), &overrides)
        .await
        .expect("connect")
}

fn before(obstacle: Option<&Error>) -> Option<u32> {
    match obstacle {
        Some(Error::Held(held)) => held.before,
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_knows_how_many_are_before_it() {
    let redis = RedisServer::start().expect("redis-server");
    let holder = eager(&redis).await;
    let _lease = holder.acquire("report").await.expect("a lease");
    let refused = holder.try_acquire("report").await.err();
    assert_eq!(before(refused.as_ref()), None, "it does not wait");
    let mut waiters = Vec::new();
    for number in 0..3 {
        let locker = eager(&redis).await;
        let waiting = tokio::spawn({
            let locker = locker.clone();
            async move { locker.acquire("report").await }
        });
        eventually("its place", async || {
            let obstacle = locker.obstacle("report").expect("a name");
            before(obstacle.as_ref()) == Some(number)
        })
        .await;
        waiters.push((locker, waiting));
    }
    waiters.remove(0).1.abort();
    for (number, (locker, _)) in (0..).zip(&waiters) {
        eventually("the next to move up", async || {
            let obstacle = locker.obstacle("report").expect("a name");
            before(obstacle.as_ref()) == Some(number)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_for_a_slot_knows_how_many_are_before_it() {
    let redis = RedisServer::start().expect("redis-server");
    let slots = eager(&redis).await.slots("gpu", 2).expect("slots");
    let _first = slots.acquire().await.expect("a lease");
    let _second = slots.acquire().await.expect("a lease");
    let mut waiters = Vec::new();
    for number in 0..2 {
        let slots = eager(&redis).await.slots("gpu", 2).expect("slots");
        waiters.push(tokio::spawn({
            let slots = slots.clone();
            async move { slots.acquire().await }
        }));
        eventually("its place", async || {
            before(slots.obstacle().as_ref()) == Some(number)
        })
        .await;
    }
    let timed_out = slots.acquire().timeout(Duration::from_millis(200)).await;
    let Err(Error::TimedOut { because, .. }) = timed_out else {
        panic!("{timed_out:?}")
    };
    assert_eq!(before(Some(&because)), Some(2));
}

pub(crate) fn connection(redis: &RedisServer) -> redis::Connection {
    let client = redis::Client::open(redis.url()).expect("a client");
    let connection = client.get_connection().expect("connect");
    connection
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a timeout");
    connection
}

/// The id of a waiter that does not answer.
pub(crate) const STOPPED: &str = "5709fed";

/// Enters a waiter that counts into the queue for `report`, before all lockers.
pub(crate) fn enter_first(redis: &RedisServer, waiter: &str) {
    redis
        .command(&["ZADD", "{report}:queue", "1", waiter])
        .expect("ZADD");
    redis
        .command(&["HSET", "{report}:alive", waiter, "9999999999999"])
        .expect("HSET");
}

/// The first in the queue for `report`, which counts and is subscribed, and will not answer.
pub(crate) fn stopped_waiter<'a>(
    redis: &RedisServer,
    connection: &'a mut redis::Connection,
) -> redis::PubSub<'a> {
    enter_first(redis, STOPPED);
    let mut subscription = connection.as_pubsub();
    subscription
        .subscribe(format!("leasehold:wake:{STOPPED}"))
        .expect("SUBSCRIBE");
    subscription
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_called_and_does_not_come_delays_the_next_by_a_claim() {
    let redis = RedisServer::start().expect("redis-server");
    let (holder, waiter) = (patient(&redis).await, patient(&redis).await);
    let lease = holder.acquire("report").await.expect("a lease");
    let mut connection = connection(&redis);
    let mut subscription = stopped_waiter(&redis, &mut connection);
    let waiting = tokio::spawn(async move { waiter.acquire("report").await });
    queued(&redis, "report", 2).await;
    lease.release().await.expect("a release");
    let called = subscription.get_message().expect("the call");
    assert_eq!(called.get_payload_bytes(), b"free - report");
    let _lease = soon("the turn after the claim", waiting)
        .await
        .expect("the task")
        .expect("a lease");
}

/// Of two waiters the first knows of one slot and cannot use the second slot, which becomes free.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_goes_to_the_first_waiter_that_can_use_it() {
    let redis = RedisServer::start().expect("redis-server");
    let holder = patient(&redis).await;
    let both = holder.slots("gpu", 2).expect("slots");
    // The highest first: who knows of fewer slots can use the others alone.
    let (one, zero) = (both.acquire().await, both.acquire().await);
    let (one, _zero) = (one.expect("a lease"), zero.expect("a lease"));
    assert_eq!(one.slot(), 1);
    let mut waiters = Vec::new();
    for (before, limit) in [1, 2].into_iter().enumerate() {
        let locker = patient(&redis).await;
        waiters.push(tokio::spawn(async move {
            locker.slots("gpu", limit).expect("slots").acquire().await
        }));
        slots_queued(&redis, "gpu", before + 1).await;
    }
    let mut connection = connection(&redis);
    let mut calls = connection.as_pubsub();
    for waiter in slots_waiting(&redis, "gpu") {
        let (id, _) = waiter.split_once('/').expect("an id and how many slots");
        calls
            .subscribe(format!("leasehold:wake:{id}"))
            .expect("SUBSCRIBE");
    }
    one.release().await.expect("a release");
    let called = calls.get_message().expect("the call");
    assert_eq!(called.get_payload_bytes(), b"free 2 gpu");
    let second = soon("the call", waiters.remove(1)).await;
    let lease = second.expect("the task").expect("a lease");
    assert_eq!(lease.slot(), 1);
    assert!(!waiters[0].is_finished());
}

#[tokio::test(flavor = "multi_thread")]
async fn newcomers_do_not_overtake_the_queue() {
    let redis = RedisServer::start().expect("redis-server");
    let holder = patient(&redis).await;
    let lease = holder.acquire("report").await.expect("a lease");
    let mut connection = connection(&redis);
    let _subscription = stopped_waiter(&redis, &mut connection);
    lease.release().await.expect("a release");

    let Err(Error::Held(held)) = holder.try_acquire("report").await else {
        panic!("overtaken")
    };
    assert_eq!(held.owner.as_deref(), Some("the next in its queue"));
    // Its claim runs out, and the newcomer is served.
    let _lease = soon("the turn after the claim", holder.acquire("report"))
        .await
        .expect("a lease");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_waiters_are_skipped() {
    let redis = RedisServer::start().expect("redis-server");
    let (holder, waiter) = (patient(&redis).await, patient(&redis).await);
    let lease = holder.acquire("report").await.expect("a lease");
    for dead in ["a", "b", "c"] {
        enter_first(&redis, dead);
    }
    let waiting = tokio::spawn(async move { waiter.acquire("report").await });
    queued(&redis, "report", 4).await;
    lease.release().await.expect("a release");
    let _lease = soon("the call", waiting)
        .await
        .expect("the task")
        .expect("a lease");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_that_gives_up_leaves_nothing_behind() {
    let redis = RedisServer::start().expect("redis-server");
    let (holder, waiter) = (patient(&redis).await, patient(&redis).await);
    let lease = holder.acquire("report").await.expect("a lease");
    let options = AcquireOptions::new().timeout(Duration::from_millis(200));
    let error = waiter
        .acquire("report")
        .options(&options)
        .await
        .expect_err("it is held");
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    eventually("the queue empties", async || {
        queue_length(&redis, "report").await == "0"
    })
    .await;
    lease.release().await.expect("a release");
    let _lease = waiter.try_acquire("report").await.expect("a lease");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_lock_goes_to_the_next_waiter() {
    let redis = RedisServer::start().expect("redis-server");
    let waiter = patient(&redis).await;
    redis
        .command(&["SET", "report", "plain", "PX", "700"])
        .expect("SET");
    let _lease = soon("the expiry", waiter.acquire("report"))
        .await
        .expect("a lease");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_freed_by_a_plain_client_is_noticed() {
    let redis = RedisServer::start().expect("redis-server");
    let waiter = patient(&redis).await;
    redis
        .command(&["SET", "report", "plain", "PX", "600000"])
        .expect("SET");
    let waiting = tokio::spawn(async move { waiter.acquire("report").await });
    queued(&redis, "report", 1).await;
    redis.command(&["DEL", "report"]).expect("DEL");
    let _lease = soon("the change", waiting)
        .await
        .expect("the task")
        .expect("a lease");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_nobody_waits_for_any_more_is_passed_on() {
    let redis = RedisServer::start().expect("redis-server");
    let (holder, gone) = (patient(&redis).await, patient(&redis).await);
    let lease = holder.acquire("report").await.expect("a lease");
    // Enter the queue for real, then stop waiting while the leaving is lost.
    let waiting = tokio::spawn({
        let gone = gone.clone();
        async move { gone.acquire("report").await.map(drop) }
    });
    queued(&redis, "report", 1).await;
    let place = redis
        .cli(&["ZRANGE", "{report}:queue", "0", "0"])
        .expect("ZRANGE");
    waiting.abort();
    eventually("the place is left", async || {
        queue_length(&redis, "report").await == "0"
    })
    .await;
    redis
        .command(&["ZADD", "{report}:queue", "1", place.trim()])
        .expect("ZADD");
    redis
        .command(&["HSET", "{report}:alive", place.trim(), "9999999999999"])
        .expect("HSET");

    lease.release().await.expect("a release");
    eventually("the place is given up", async || {
        queue_length(&redis, "report").await == "0"
    })
    .await;
    let _lease = holder.try_acquire("report").await.expect("a lease");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_is_cancelled_under_way_leaves_no_place_behind() {
    let redis = RedisServer::start().expect("redis-server");
    let (holder, waiter) = (patient(&redis).await, patient(&redis).await);
    let _lease = holder.acquire("report").await.expect("a lease");
    redis.pause().expect("SIGSTOP");
    let options = AcquireOptions::new().timeout(Duration::from_millis(50));
    waiter
        .acquire("report")
        .options(&options)
        .await
        .expect_err("no reply comes");
    redis.resume().expect("SIGCONT");
    eventually("the queue empties", async || {
        redis
            .cli(&["EXISTS", "{report}:queue"])
            .is_ok_and(|exists| exists.trim() == "0")
    })
    .await;
}
