//! Activities under leases on a real server, with a context that counts what the server would see.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use leasehold::{Fence, Locker};
use leasehold_temporal::{
    ActivityContext, ActivityError, ActivityInfo, LockInterceptor, NeedsLock,
};
use leasehold_testkit::RedisServer;
use leasehold_tests::{blocking, connect, eventually, soon, standalone_env};
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Context {
    info: ActivityInfo,
    heartbeats: AtomicUsize,
    cancel: CancellationToken,
}

impl Context {
    fn of(activity_type: &str) -> Self {
        Self {
            info: ActivityInfo {
                activity_type: activity_type.to_owned(),
                start_to_close_timeout: Some(LONG),
                heartbeat_timeout: Some(Duration::from_millis(60)),
            },
            ..Self::default()
        }
    }

    fn start_to_close(mut self, timeout: Duration) -> Self {
        self.info.start_to_close_timeout = Some(timeout);
        self
    }
}

impl ActivityContext for Context {
    fn info(&self) -> ActivityInfo {
        self.info.clone()
    }

    fn record_heartbeat(&self) {
        self.heartbeats.fetch_add(1, Ordering::Relaxed);
    }

    async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }
}

async fn locker(server: &RedisServer) -> Locker {
    let locker = connect(standalone_env(server), &[]).await;
    locker.expect("a locker")
}

async fn worker(server: &RedisServer, max_locks: usize) -> LockInterceptor {
    LockInterceptor::new(locker(server).await)
        .needs_lock("extract", &NeedsLock::new(max_locks))
        .expect("a lock")
}

fn get(server: &RedisServer, key: &str) -> String {
    blocking(|| server.cli(&["GET", key])).expect("GET")
}

/// An activity that lasts until it is stopped.
async fn endless(_: Option<Fence>) -> Result<(), String> {
    pending().await
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_run_as_there_are_slots_and_no_more() {
    let server = RedisServer::start().expect("a server");
    let (running, most) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let mut fleet = Vec::new();
    for _ in 0..8 {
        let worker = worker(&server, 3).await;
        let (running, most) = (running.clone(), most.clone());
        fleet.push(tokio::spawn(async move {
            let context = Context::of("extract");
            let activity = async |_: Option<Fence>| {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(300)).await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, String>(())
            };
            worker.execute_activity(&context, activity).await
        }));
    }
    for one in fleet {
        let result = soon("an activity", one).await.expect("a task");
        result.expect("a result");
    }
    assert_eq!(most.load(Ordering::SeqCst), 3);
    for slot in 0..3 {
        assert_eq!(get(&server, &format!("extract:{slot}")), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_those_of_atlans_sdk_and_other_activities_run_as_they_are() {
    let server = RedisServer::start().expect("a server");
    let shared = NeedsLock::new(1).lock_name("warehouse");
    let worker = LockInterceptor::new(locker(&server).await)
        .needs_lock("extract", &shared)
        .and_then(|worker| worker.needs_lock("publish", &shared))
        .expect("locks");
    for activity in ["extract", "publish"] {
        let context = Context::of(activity);
        let held = worker.execute_activity(&context, async |fence: Option<Fence>| {
            assert!(fence.is_some());
            Ok::<_, String>(get(&server, "warehouse:0"))
        });
        assert!(!held.await.expect("a token").is_empty(), "{activity}");
    }
    let context = Context::of("notify");
    let held = worker.execute_activity(&context, async |fence: Option<Fence>| {
        assert_eq!(fence, None);
        Ok::<_, String>(get(&server, "warehouse:0"))
    });
    assert_eq!(held.await.expect("nothing held"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_tells_the_server_and_ends_when_it_is_cancelled() {
    let server = RedisServer::start().expect("a server");
    let holder = locker(&server).await.slots("extract", 1).expect("slots");
    let held = holder.try_acquire().await.expect("the slot");
    let worker = worker(&server, 1).await;
    let context = Arc::new(Context::of("extract"));
    let waiting = tokio::spawn({
        let (worker, context) = (worker.clone(), context.clone());
        async move { worker.execute_activity(&*context, endless).await }
    });
    eventually("heartbeats", async || {
        context.heartbeats.load(Ordering::Relaxed) > 5
    })
    .await;
    context.cancel.cancel();
    let result = soon("the end of the wait", waiting).await.expect("a task");
    assert!(
        matches!(result, Err(ActivityError::Cancelled)),
        "{result:?}"
    );
    held.release().await.expect("a release");
    // Its place in the queue is gone too.
    let next = soon("the next holder", holder.acquire()).await;
    drop(next.expect("the slot"));
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_the_attempt_is_waited_and_then_the_workflow_tries_again() {
    let server = RedisServer::start().expect("a server");
    let holder = locker(&server).await.slots("extract", 1).expect("slots");
    let _held = holder.try_acquire().await.expect("the slot");
    let context = Context::of("extract").start_to_close(Duration::from_millis(800));
    let worker = worker(&server, 1).await;
    let result = soon("an end", worker.execute_activity(&context, endless)).await;
    let error = result.expect_err("no lease");
    assert!(matches!(error, ActivityError::NotLeased(_)), "{error}");
    assert_eq!(error.is_retryable(), Some(true));
    assert!(
        error.to_string().contains("was not leased within 400ms"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_that_lost_its_lease_is_dropped() {
    let server = RedisServer::start().expect("a server");
    let worker = worker(&server, 1).await;
    let dropped = CancellationToken::new();
    let guard = dropped.clone().drop_guard();
    let context = Context::of("extract");
    let activity = worker.execute_activity(&context, async |_| {
        let _guard = guard;
        blocking(|| server.cli(&["DEL", "extract:0"])).expect("DEL");
        pending::<Result<(), String>>().await
    });
    let error = soon("the loss", activity).await.expect_err("a loss");
    assert!(matches!(error, ActivityError::Lost(_)), "{error}");
    assert_eq!(error.is_retryable(), Some(true));
    assert!(dropped.is_cancelled());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_attempts_timeout_bounds_the_work_and_the_lease() {
    let server = RedisServer::start().expect("a server");
    let worker = worker(&server, 1).await;
    let timeout = Duration::from_millis(1_500);
    let context = Context::of("extract").start_to_close(timeout);
    let activity = worker.execute_activity(&context, async |_| {
        let left = blocking(|| server.cli(&["PTTL", "extract:0"])).expect("PTTL");
        let left: u64 = left.parse().expect("milliseconds");
        assert!((1..=1_500).contains(&left), "{left}");
        pending::<Result<(), String>>().await
    });
    let error = soon("the timeout", activity).await.expect_err("a timeout");
    assert!(
        matches!(error, ActivityError::TimedOut(limit) if limit == timeout),
        "{error}"
    );
    assert_eq!(get(&server, "extract:0"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_that_fails_gives_its_slot_back() {
    let server = RedisServer::start().expect("a server");
    let worker = worker(&server, 1).await;
    let context = Context::of("extract");
    let result = worker
        .execute_activity(&context, async |_| Err::<(), _>("no such table"))
        .await;
    let error = result.expect_err("a failure");
    assert!(
        matches!(error, ActivityError::Activity("no such table")),
        "{error:?}"
    );
    assert_eq!(error.is_retryable(), None);
    assert_eq!(get(&server, "extract:0"), "");
}

#[tokio::test]
async fn bad_limits_are_refused_at_the_start() {
    let locker = Locker::in_memory(&leasehold::MemoryStore::new());
    let refused = LockInterceptor::new(locker).needs_lock("extract", &NeedsLock::new(0));
    let error = refused.expect_err("no slots");
    assert!(error.to_string().contains("0 slots"), "{error}");
}
