//! Programs that end: their runtimes, their threads, their `main`. What they drop is released, and
//! what outlives its runtime says so.

use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use std::time::Duration;

use leasehold::{Config, Error, Lease, Locker, LostReason, MemoryStore, blocking};
use leasehold_testkit::{Mode, Proxy, RedisServer, wait_for};
use leasehold_tests::{PATIENCE, connect, soon, standalone_env};
use tokio::runtime::{Builder, Runtime};

const ROUNDS: usize = 5;

fn runtimes() -> [Runtime; 2] {
    let current = Builder::new_current_thread().enable_all().build();
    let several = Builder::new_multi_thread().enable_all().build();
    [current.expect("a runtime"), several.expect("a runtime")]
}

/// Long enough that what is gone at the end was deleted and did not expire.
fn variables(redis: &RedisServer) -> Vec<(String, String)> {
    let mut variables = standalone_env(redis);
    // A slow machine must not use up the time that an end may take: twice the command timeout.
    for (name, value) in [
        ("LOCK_TTL", "60s"),
        ("LOCK_MAX_TTL", "60s"),
        ("REDIS_COMMAND_TIMEOUT", "9s"),
    ] {
        variables.push((name.into(), value.into()));
    }
    variables
}

async fn locker(redis: &RedisServer) -> Locker {
    connect(variables(redis), &[]).await.expect("connect")
}

fn is_free(redis: &RedisServer, resource: &str) -> bool {
    let exists = redis.cli(&["EXISTS", resource]).expect("EXISTS");
    exists.trim() == "0"
}

/// Ends programs that did `work`, and looks at once whether they left their lock behind.
fn ends_without_a_trace<T>(what: &str, work: impl AsyncFn(Locker, Lease) -> T) {
    let redis = RedisServer::start().expect("redis-server");
    for round in 0..ROUNDS {
        for runtime in runtimes() {
            let last = runtime.block_on(async {
                let locker = locker(&redis).await;
                let lease = locker.acquire("report").await.expect("a lease");
                work(locker, lease).await
            });
            drop(runtime);
            drop(last);
            assert!(is_free(&redis, "report"), "{what}, round {round}");
        }
    }
}

#[test]
fn a_lease_that_main_drops_is_released() {
    ends_without_a_trace("the lease first", async |_locker, lease| drop(lease));
    ends_without_a_trace("the locker first", async |locker, lease| {
        drop(locker);
        drop(lease);
    });
}

#[test]
fn a_lease_that_a_task_still_holds_at_the_end_is_released() {
    ends_without_a_trace("a task", async |_locker, lease| {
        tokio::spawn(async move {
            let _lease = lease;
            std::future::pending::<()>().await;
        });
        tokio::task::yield_now().await;
    });
}

#[test]
fn a_lease_that_outlives_its_runtime_is_lost_and_released() {
    ends_without_a_trace("held after the end", async |_locker, lease| {
        assert!(lease.is_valid());
        LostAtTheEnd(lease)
    });
}

/// Checks when it is dropped, after the runtime, that the lease is known to be lost.
struct LostAtTheEnd(Lease);

impl Drop for LostAtTheEnd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let Err(Error::Lost { reason, .. }) = self.0.check() else {
            panic!("it is not lost")
        };
        assert_eq!(reason, LostReason::RuntimeEnded);
    }
}

#[test]
fn a_panic_releases() {
    let redis = RedisServer::start().expect("redis-server");
    for runtime in runtimes() {
        let main = AssertUnwindSafe(|| {
            runtime.block_on(async {
                let locker = locker(&redis).await;
                let _lease = locker.acquire("report").await.expect("a lease");
                std::panic::resume_unwind(Box::new("a panic in main"));
            });
            drop(runtime);
        });
        std::panic::catch_unwind(main).expect_err("it panics");
        assert!(is_free(&redis, "report"));
    }
}

#[test]
fn many_leases_are_released_at_the_end_together() {
    let redis = RedisServer::start().expect("redis-server");
    for runtime in runtimes() {
        runtime.block_on(async {
            let locker = locker(&redis).await;
            for number in 0..100 {
                let lease = locker.acquire(format!("report-{number}")).await;
                let lease = lease.expect("a lease");
                tokio::spawn(async move {
                    let _lease = lease;
                    std::future::pending::<()>().await;
                });
            }
        });
        drop(runtime);
        assert_eq!(redis.cli(&["KEYS", "report-?"]).expect("KEYS").trim(), "");
        assert_eq!(redis.cli(&["KEYS", "report-??"]).expect("KEYS").trim(), "");
    }
}

/// Nobody answers: the end is held up for a bounded time.
#[test]
fn a_server_that_hangs_does_not_keep_a_program_from_ending() {
    let redis = RedisServer::start().expect("redis-server");
    for runtime in runtimes() {
        runtime.block_on(async {
            let hasty = [("REDIS_COMMAND_TIMEOUT", "500ms")];
            let locker = connect(variables(&redis), &hasty).await.expect("connect");
            let _lease = locker.acquire("report").await.expect("a lease");
            redis.pause().expect("SIGSTOP");
        });
        let started = std::time::Instant::now();
        drop(runtime);
        assert!(started.elapsed() < Duration::from_secs(20));
        redis.resume().expect("SIGCONT");
        redis.command(&["DEL", "report"]).expect("DEL");
    }
}

/// The connection of the end breaks while it is made.
#[test]
fn a_release_at_the_end_that_fails_is_tried_again() {
    let redis = RedisServer::start().expect("redis-server");
    let proxy = Proxy::start(redis.address()).expect("a proxy");
    // Of one thread, so that nothing else connects once `block_on` has ended.
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let before = runtime.block_on(async {
        let port = proxy.port().to_string();
        let overrides = [("REDIS_PORT", port.as_str())];
        let locker = connect(variables(&redis), &overrides).await;
        let lease = locker.expect("connect").acquire("report").await;
        proxy.set_mode(Mode::Refuse).expect("refused");
        proxy.set_mode(Mode::DropReplies).expect("lost replies");
        drop(lease.expect("a lease"));
        proxy.connections()
    });
    let ended = std::thread::spawn(move || drop(runtime));
    let connects = wait_for("the last connection", PATIENCE, || {
        let made = proxy.connections() - before;
        (made > 0).then_some(()).ok_or(made)
    });
    connects.expect("a connection");
    proxy.set_mode(Mode::Pass).expect("passing");
    ended.join().expect("an end");
    assert!(is_free(&redis, "report"));
}

#[test]
fn locks_in_memory_are_released_at_the_end_too() {
    let [outer, _] = runtimes();
    let store = outer.block_on(async { MemoryStore::new() });
    for runtime in runtimes() {
        runtime.block_on(async {
            let locker = Locker::in_memory(&store);
            let _lease = locker.try_acquire("report").await.expect("a lease");
        });
        drop(runtime);
    }
}

fn blocking_locker(redis: &RedisServer) -> blocking::Locker {
    let config = Config::from_vars(variables(redis)).expect("a configuration");
    blocking::Locker::connect(config).expect("connect")
}

#[test]
fn a_blocking_lease_is_released_in_whichever_order_things_are_dropped() {
    let redis = RedisServer::start().expect("redis-server");
    for round in 0..2 * ROUNDS {
        let locker = blocking_locker(&redis);
        let lease = locker.acquire("report").wait().expect("a lease");
        if round % 2 == 0 {
            drop(lease);
            drop(locker);
        } else {
            drop(locker);
            drop(lease);
        }
        assert!(is_free(&redis, "report"), "round {round}");
    }
}

#[test]
fn a_blocking_locker_in_async_code_is_an_error_and_its_drop_is_none() {
    let redis = RedisServer::start().expect("redis-server");
    for runtime in runtimes() {
        let (locker, first) = (blocking_locker(&redis), blocking_locker(&redis));
        let lease = first.acquire("report").wait().expect("a lease");
        drop(first);
        runtime.block_on(async {
            let config = Config::from_vars(variables(&redis)).expect("a configuration");
            let refused = blocking::Locker::connect(config).expect_err("in async code");
            assert!(matches!(refused, Error::BlockingInAsync), "{refused}");
            let refused = locker.try_acquire("other").wait();
            let refused = refused.expect_err("in async code");
            assert!(matches!(refused, Error::BlockingInAsync), "{refused}");
            assert!(lease.lost_within(Duration::from_millis(1)).is_none());
            drop(lease);
            assert!(is_free(&redis, "report"));
            let blocking = tokio::task::spawn_blocking(move || {
                locker.acquire("report").wait().map(|lease| (locker, lease))
            });
            let (locker, lease) = blocking.await.expect("the task").expect("a lease");
            drop(locker);
            drop(lease);
            assert!(is_free(&redis, "report"));
        });
    }
}

/// As with a locker in a static and one runtime per `#[tokio::test]`.
#[test]
fn a_locker_that_outlives_its_runtime_says_so() {
    static LOCKER: OnceLock<Locker> = OnceLock::new();
    let redis = RedisServer::start().expect("redis-server");
    // The one that goes on by itself while the other is at work.
    let [second, first] = runtimes();
    let lease = first.block_on(async {
        let locker = locker(&redis).await;
        let lease = locker.acquire("report").await.expect("a lease");
        LOCKER.set(locker).expect("the only one");
        lease
    });
    let locker = LOCKER.get().expect("it is set");
    second.block_on(async {
        // One waits already when the runtime ends.
        let waiting = tokio::spawn(async { locker.acquire("report").await.map(drop) });
        while locker.obstacle("report").expect("a name").is_none() {
            tokio::task::yield_now().await;
        }
        tokio::task::spawn_blocking(move || drop(first))
            .await
            .expect("its end");
        let reason = soon("the loss", lease.lost()).await;
        assert_eq!(reason, LostReason::RuntimeEnded);
        let waited = soon("the waiter", waiting).await.expect("the task");
        assert!(matches!(waited, Err(Error::RuntimeEnded)), "{waited:?}");
        let refused = soon("an answer", locker.acquire("report")).await;
        let refused = refused.expect_err("nobody would renew it");
        assert!(matches!(refused, Error::RuntimeEnded), "{refused}");
        let refused = soon("an answer", locker.try_acquire("report")).await;
        assert!(matches!(refused, Err(Error::RuntimeEnded)), "{refused:?}");
        let refused = soon("an answer", locker.inspect("report")).await;
        assert!(matches!(refused, Err(Error::RuntimeEnded)), "{refused:?}");
        let unrenewed = soon("an answer", lease.renew()).await;
        assert!(
            matches!(unrenewed, Err(Error::Lost { .. })),
            "{unrenewed:?}"
        );
        let released = soon("an answer", lease.release()).await;
        assert!(matches!(released, Err(Error::RuntimeEnded)), "{released:?}");
        let closed = soon("an answer", locker.clone().close(Duration::MAX)).await;
        closed.expect("nothing is left to close");
    });
    assert!(is_free(&redis, "report"));
}
