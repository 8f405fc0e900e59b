//! The examples do what their first lines say, on a real server.

#[path = "../../crates/lock/examples/cron.rs"]
#[expect(dead_code, reason = "their own `main` is not run here")]
mod cron;
#[path = "../../crates/lock/examples/leader.rs"]
#[expect(dead_code, reason = "its own `main` is not run here")]
mod leader;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use leasehold::Fence;
use leasehold_testkit::RedisServer;
use leasehold_tests::{connect, eventually, soon, standalone_env};
use tokio_util::sync::CancellationToken;

use self::cron::Ran;

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_runs_each_occasion_once() {
    let server = RedisServer::start().expect("a server");
    let runs = Arc::new(AtomicUsize::new(0));
    let mut fleet = Vec::new();
    for machine in 0..6 {
        let locker = connect(standalone_env(&server), &[])
            .await
            .expect("a locker");
        let runs = runs.clone();
        fleet.push(tokio::spawn(async move {
            // Clocks differ a little, and the job is short.
            tokio::time::sleep(Duration::from_millis(20 * machine)).await;
            let ran = cron::once(&locker, "report", "2026-11-21", async |_| {
                runs.fetch_add(1, Ordering::Relaxed);
                true
            });
            ran.await.expect("an answer")
        }));
    }
    let mut here = 0;
    for machine in fleet {
        here += usize::from(machine.await.expect("a machine") == Ran::Here);
    }
    assert_eq!((here, runs.load(Ordering::Relaxed)), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_failed_may_run_on_another_machine() {
    let server = RedisServer::start().expect("a server");
    let first = connect(standalone_env(&server), &[])
        .await
        .expect("a locker");
    let second = connect(standalone_env(&server), &[])
        .await
        .expect("a locker");
    let ran = cron::once(&first, "report", "today", async |_| false).await;
    assert_eq!(ran.expect("an answer"), Ran::Failed);
    let ran = cron::once(&second, "report", "today", async |_| true).await;
    assert_eq!(ran.expect("an answer"), Ran::Here);
    let ran = cron::once(&first, "report", "today", async |_| true).await;
    assert_eq!(ran.expect("an answer"), Ran::Elsewhere);
    let ran = cron::once(&first, "report", "tomorrow", async |_| true).await;
    assert_eq!(ran.expect("an answer"), Ran::Here);
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_follow_each_other_and_never_overlap() {
    // The closures of `campaign` need not be `Send`.
    tokio::task::LocalSet::new().run_until(elections()).await;
}

async fn elections() {
    let server = RedisServer::start().expect("a server");
    let leading = Arc::new(AtomicUsize::new(0));
    let terms: Arc<Mutex<Vec<(usize, Fence)>>> = Arc::default();
    let mut candidates = Vec::new();
    for number in 0..3 {
        let locker = connect(standalone_env(&server), &[])
            .await
            .expect("a locker");
        let stop = CancellationToken::new();
        let (leading, terms, stopping) = (leading.clone(), terms.clone(), stop.clone());
        let task = tokio::task::spawn_local(async move {
            let leads = leader::campaign(&locker, "office", &stopping, async |lease| {
                // Dropped, and so counted down, when the leader is stopped.
                let _in_office = Count::up(&leading);
                terms
                    .lock()
                    .expect("the terms")
                    .push((number, lease.fence()));
                std::future::pending::<()>().await;
            });
            leads.await.expect("a campaign");
        });
        candidates.push((stop, task));
    }
    for past in 0..3 {
        eventually("a leader", async || {
            terms.lock().expect("the terms").len() > past
        })
        .await;
        let (leader, _) = terms.lock().expect("the terms")[past];
        candidates[leader].0.cancel();
    }
    for (_, task) in candidates {
        soon("the end", task).await.expect("a candidate");
    }
    let terms = terms.lock().expect("the terms");
    assert!(
        terms.windows(2).all(|pair| pair[0].1 < pair[1].1),
        "{terms:?}"
    );
}

/// Counts who is in office.
struct Count(Arc<AtomicUsize>);

impl Count {
    fn up(count: &Arc<AtomicUsize>) -> Self {
        assert_eq!(count.fetch_add(1, Ordering::SeqCst), 0, "two in office");
        Self(count.clone())
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
