//! Futures that are dropped at each of their await points, and tasks and runtimes that end: nothing
//! is left behind, neither in Redis nor in the queue of waiters.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use leasehold::Locker;
use leasehold_testkit::{Mode, Proxy, RedisServer};
use leasehold_tests::{
    connect, connections_named, eventually, lease, opened, port_env, soon, standalone_env,
};

/// Long enough that what is gone within [`SOON`] was deleted and did not expire; short enough to wait
/// for the gate of strict mode, which opens so long after the server's start.
const LONG: [(&str, &str); 2] = [("LOCK_TTL", "9s"), ("LOCK_MAX_TTL", "9s")];
const SOON: Duration = Duration::from_secs(6);

/// Polls `future` at most `polls` times, each time that it is woken, and then drops it.
async fn polled<T>(polls: usize, future: impl IntoFuture<Output = T>) -> Option<T> {
    let mut future = pin!(future.into_future());
    let mut polled = 0;
    poll_fn(|context| {
        polled += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polled >= polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn nothing_is_left(locker: &Locker, what: &str) {
    let gone = eventually(what, async || {
        let holder = locker.inspect("report").await;
        holder.expect("an answer").is_none()
    });
    let gone = tokio::time::timeout(SOON, gone).await;
    assert!(gone.is_ok(), "something is left: {what}");
}

/// A locker whose gate is open.
async fn granting(port: u16, safety: &str) -> Locker {
    let overrides = [LONG[0], LONG[1], ("LOCK_SAFETY", safety)];
    let locker = connect(port_env(port), &overrides).await.expect("connect");
    opened(&locker).await;
    locker
}

/// S20, for each way to ask.
#[tokio::test(flavor = "multi_thread")]
async fn attempts_dropped_at_every_await() {
    let redis = RedisServer::start().expect("redis-server");
    // Replies take their time, so that every future is woken more than once.
    let proxy = Proxy::start(redis.address()).expect("a proxy");
    proxy
        .set_mode(Mode::Delay(Duration::from_millis(2)))
        .expect("a delay");
    for safety in ["relaxed", "strict"] {
        let locker = granting(proxy.port(), safety).await;
        for way in ["acquire", "try_acquire", "with_lock"] {
            let mut finished = 0;
            for polls in 1.. {
                // A server that does not know the script yet is asked twice.
                if polls % 2 == 0 {
                    redis.command(&["SCRIPT", "FLUSH"]).expect("SCRIPT FLUSH");
                }
                let done = match way {
                    "acquire" => polled(polls, locker.acquire("report")).await.map(drop),
                    "try_acquire" => polled(polls, locker.try_acquire("report")).await.map(drop),
                    _ => polled(polls, locker.with_lock("report", async |_| ()))
                        .await
                        .map(drop),
                };
                nothing_is_left(&locker, &format!("{safety} {way} after {polls} polls")).await;
                finished += usize::from(done.is_some());
                if finished == 2 {
                    break;
                }
            }
        }
    }
}

/// Dropped at once after the send: the grant may overtake the release that takes it back.
#[tokio::test(flavor = "multi_thread")]
async fn attempts_dropped_while_the_server_hangs() {
    let redis = RedisServer::start().expect("redis-server");
    for safety in ["relaxed", "strict"] {
        let locker = granting(redis.port(), safety).await;
        for round in 0..20 {
            redis.pause().expect("SIGSTOP");
            let limit = Duration::from_millis(round % 5);
            let attempt = tokio::time::timeout(limit, locker.try_acquire("report")).await;
            assert!(attempt.is_err());
            redis.resume().expect("SIGCONT");
            nothing_is_left(&locker, &format!("{safety}, round {round}")).await;
        }
    }
}

/// S20. A waiter that is dropped anywhere leaves its place to the next.
#[tokio::test(flavor = "multi_thread")]
async fn waiters_dropped_at_every_await() {
    let redis = RedisServer::start().expect("redis-server");
    let (ours, theirs) = (
        connect(standalone_env(&redis), &LONG)
            .await
            .expect("connect"),
        connect(standalone_env(&redis), &LONG)
            .await
            .expect("connect"),
    );
    for polls in 1..=6 {
        let held = lease(&theirs, "report").await;
        let behind = {
            let ours = ours.clone();
            tokio::time::timeout(
                Duration::from_millis(50),
                polled(polls, ours.acquire("report")),
            )
            .await
            .ok()
            .flatten()
            .is_some()
        };
        assert!(!behind, "it is held");
        let next = tokio::spawn({
            let ours = ours.clone();
            async move { ours.acquire("report").await }
        });
        held.release().await.expect("a release");
        let next = soon("the next turn", next).await.expect("the task");
        next.expect("a lease").release().await.expect("a release");
        nothing_is_left(&ours, &format!("after {polls} polls")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_dropped_at_every_await_is_carried_out() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &LONG)
        .await
        .expect("connect");
    for polls in 1.. {
        let held = lease(&locker, "report").await;
        let done = polled(polls, held.release()).await;
        nothing_is_left(&locker, &format!("after {polls} polls")).await;
        if done.is_some() {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connecting_dropped_at_every_await_leaves_no_connection() {
    let redis = RedisServer::start().expect("redis-server");
    for polls in 1.. {
        let named = [
            ("REDIS_CLIENT_NAME", "passer-by"),
            ("LOCK_SAFETY", "strict"),
        ];
        let connected = polled(polls, connect(standalone_env(&redis), &named)).await;
        let is_done = connected.is_some();
        drop(connected);
        eventually("the connections are closed", async || {
            connections_named(&redis, "passer-by") == 0
        })
        .await;
        if is_done {
            break;
        }
    }
}

/// S20. Tasks that are aborted are dropped wherever they stand.
#[tokio::test(flavor = "multi_thread")]
async fn aborted_tasks_leave_nothing_behind() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &LONG)
        .await
        .expect("connect");
    let mut tasks = Vec::new();
    for number in 0..40 {
        let locker = locker.clone();
        let task = tokio::spawn(async move {
            locker
                .with_lock("report", async |_| {
                    tokio::time::sleep(Duration::from_millis(3)).await;
                })
                .await
        });
        if number % 3 == 0 {
            task.abort();
        }
        tasks.push(task);
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    for task in &tasks {
        task.abort();
    }
    for task in tasks {
        let _ = task.await;
    }
    nothing_is_left(&locker, "every task is aborted").await;
    let again = lease(&locker, "report").await;
    again.release().await.expect("a release");
}

/// S20. A runtime that ends takes everything with it; guards outlive it without harm.
#[test]
fn leases_outlive_their_runtime_without_harm() {
    let redis = RedisServer::start().expect("redis-server");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (locker, held) = runtime.block_on(async {
        let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
        let held = locker.acquire("report").await.expect("a lease");
        for number in 0..10 {
            let locker = locker.clone();
            tokio::spawn(async move { locker.acquire(format!("waits-{}", number % 2)).await });
        }
        (locker, held)
    });
    runtime.shutdown_background();
    assert!(held.remaining() <= Duration::from_secs(3));
    drop(held);
    drop(locker);
}
