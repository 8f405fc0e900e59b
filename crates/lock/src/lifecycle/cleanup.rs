//! The cleanup worker releases, in the background, locks that this process no longer owns but that may
//! still exist in Redis: of dropped leases, cancelled acquisitions, and grants whose reply was lost.
//!
//! It retries until the server confirms that the token holds nothing, or until the key must have
//! expired. A server that does not answer delays no other release. After the last handle is dropped, the
//! worker finishes what is left and ends.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use super::pending::{Cleanup, PendingCleanup, PendingCleanups};
use super::sync::Mutex;
use super::wait_queue::Waiting;
use crate::backend::Backend;
use crate::backend::ops::Request;
use crate::clock::later_std;
use crate::lifecycle::last_release::LastRelease;
use crate::lifecycle::lease_state::LeaseState;
use crate::lifecycle::stop::{StopReason, StopSignal};
use crate::master::state::State;
use crate::protocol::keys::Keys;

/// More than this many at once are left to their TTL.
const MOST: usize = 65_536;
/// How many are taken back at once.
const AT_ONCE: usize = 256;
/// How long giving up a place in a queue is tried. After that it has stopped counting, or soon will.
const PLACE_COUNTS: Duration = Duration::from_secs(60);
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A handle to the cleanup worker's task; clones share it.
#[derive(Clone)]
pub(crate) struct CleanupWorker {
    shared: Arc<SharedCleanups>,
    handles: Arc<Handles>,
}

/// Tells the task when the last handle is gone.
struct Handles(Arc<SharedCleanups>);

impl Drop for Handles {
    fn drop(&mut self) {
        self.0.state.lock().is_closing = true;
        self.0.changed.notify_one();
    }
}

struct SharedCleanups {
    state: Mutex<PendingCleanups>,
    changed: Notify,
    idle: watch::Sender<bool>,
    backend: Arc<Backend>,
    at_end: AtEnd,
}

/// How locks are released when the runtime ends before the task has.
pub(crate) struct AtEnd {
    /// `None` where a release needs no connection.
    pub(crate) last_release: Option<Arc<LastRelease>>,
    /// How long the end of the runtime may be delayed in all.
    pub(crate) limit: Duration,
    pub(crate) stop: StopSignal,
    /// Ends the leases that are held, and has them taken back.
    pub(crate) lose_leases: Box<dyn Fn() + Send + Sync>,
}

impl CleanupWorker {
    pub(crate) fn start(backend: Arc<Backend>, waiting: Arc<Waiting>, at_end: AtEnd) -> Self {
        let shared = Arc::new(SharedCleanups {
            state: Mutex::default(),
            changed: Notify::new(),
            idle: watch::Sender::new(true),
            backend: backend.clone(),
            at_end,
        });
        let task = Task(shared.clone());
        tokio::spawn(async move { reap(&task.0, backend, waiting).await });
        Self {
            handles: Arc::new(Handles(shared.clone())),
            shared,
        }
    }

    /// Takes a lock back whose key may live for `ttl` from now on.
    pub(crate) fn take_back(&self, request: &Request, ttl: Duration) {
        self.add([(request, ttl)]);
    }

    /// Takes back what these leases hold.
    pub(crate) fn take_all_back(&self, leases: &[Arc<LeaseState>]) {
        let requests = leases.iter().map(|held| (&held.request, held.request.ttl));
        self.add(requests);
    }

    fn add<'a>(&self, requests: impl IntoIterator<Item = (&'a Request, Duration)>) {
        // The parent holds them, and goes on holding them.
        if self.shared.at_end.stop.is_forked() {
            return;
        }
        let mut state = self.shared.state.lock();
        for (request, ttl) in requests {
            if state.len() >= MOST {
                let key = &request.keys.name;
                tracing::warn!(%key, "too much to take back: left to its expiry");
                break;
            }
            state.insert(Cleanup::TakeBack(request.clone()), ttl);
        }
        let is_task_gone = state.give_up_at.is_some();
        drop(state);
        if is_task_gone {
            return self.shared.release_without_task();
        }
        self.shared.idle.send_replace(false);
        self.shared.changed.notify_one();
    }

    /// Gives up places in queues that nobody wants any more.
    pub(crate) fn leave(&self, names: &HashSet<String>) {
        self.shared.leave_all(names);
        self.shared.changed.notify_one();
    }

    /// Leaves to its expiry what is not taken back yet, once the runtime ends.
    pub(crate) fn give_up(&self) {
        self.shared.state.lock().give_up_at = Some(std::time::Instant::now());
    }

    /// How much is left to take back.
    #[cfg(test)]
    pub(crate) fn pending(&self) -> usize {
        self.shared.state.lock().len()
    }

    /// Waits until nothing is left to take back.
    ///
    /// Cancel safe.
    pub(crate) async fn finished(&self) {
        if self.shared.at_end.stop.is_forked() {
            return;
        }
        let mut idle = self.shared.idle.subscribe();
        let _ = idle.wait_for(|idle| *idle).await;
    }
}

impl std::fmt::Debug for CleanupWorker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let handles = Arc::strong_count(&self.handles);
        f.debug_struct("CleanupWorker")
            .field("handles", &handles)
            .finish_non_exhaustive()
    }
}

impl SharedCleanups {
    /// Releases what is left when the runtime has dropped the task, and holds up the caller until
    /// that is done or the time for it is over.
    fn release_without_task(&self) {
        let mut state = self.state.lock();
        let limit = self.at_end.limit;
        let now = std::time::Instant::now();
        let give_up_at = *state.give_up_at.get_or_insert(later_std(now, limit));
        let requests = state.take_locks();
        drop(state);
        match &self.at_end.last_release {
            _ if requests.is_empty() => {}
            Some(_) if give_up_at <= now => {
                let count = requests.len();
                tracing::warn!(count, "locks not released at the end: left to their expiry");
            }
            Some(last_release) => last_release.run(requests, give_up_at),
            None => {
                for request in requests {
                    let _ = self.backend.take_back(&request).now_or_never();
                }
            }
        }
        self.idle.send_replace(true);
    }

    /// Gives up places that nobody wants any more.
    fn leave_all(&self, names: &HashSet<String>) {
        let mut state = self.state.lock();
        if names.is_empty() || state.give_up_at.is_some() {
            return;
        }
        for keys in names.iter().filter_map(|name| Keys::of_waiters(name)) {
            state.insert(Cleanup::Leave(Arc::new(keys)), PLACE_COUNTS);
        }
        drop(state);
        self.idle.send_replace(false);
    }
}

/// Owned by the task, and dropped with it: by its end, or by that of the runtime.
struct Task(Arc<SharedCleanups>);

impl Drop for Task {
    fn drop(&mut self) {
        if self.0.at_end.stop.is_forked() {
            return;
        }
        // Together, so that one connection serves them all.
        self.0.at_end.stop.stop(StopReason::RuntimeEnded);
        (self.0.at_end.lose_leases)();
        self.0.release_without_task();
    }
}

async fn reap(shared: &SharedCleanups, backend: Arc<Backend>, waiting: Arc<Waiting>) {
    let mut topology = backend.topology();
    let mut attempts = FuturesUnordered::new();
    let mut pause = SHORTEST_PAUSE;
    let mut rest = pin!(sleep(Duration::ZERO));
    loop {
        shared.leave_all(&waiting.take_unclaimed());
        let is_resting = {
            let mut state = shared.state.lock();
            while attempts.len() < AT_ONCE
                && let Some(entry) = state.begin()
            {
                attempts.push(attempt(entry, &backend, &waiting));
            }
            if state.is_empty() {
                pause = SHORTEST_PAUSE;
                shared.idle.send_replace(true);
                if state.is_closing {
                    return;
                }
            }
            state.is_resting()
        };
        tokio::select! {
            Some((entry, is_settled)) = attempts.next(), if !attempts.is_empty() => {
                shared.state.lock().end(&entry, is_settled);
                if !is_settled && !is_resting {
                    rest.as_mut().reset(Instant::now() + pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            () = rest.as_mut(), if is_resting => shared.state.lock().end_rest(),
            () = changed(&mut topology), if is_resting => {
                pause = SHORTEST_PAUSE;
                shared.state.lock().end_rest();
            }
            () = shared.changed.notified() => {}
            names = waiting.unclaimed() => shared.leave_all(&names),
        }
    }
}

async fn attempt(
    entry: PendingCleanup,
    backend: &Backend,
    waiting: &Waiting,
) -> (PendingCleanup, bool) {
    let name = entry.cleanup.name();
    match entry.cleanup.run(backend, waiting).await {
        Ok(()) => {
            if !backend.store_notifies_waiters(entry.cleanup.keys()) {
                waiting.released(entry.cleanup.keys());
            }
            (entry, true)
        }
        Err(failure) => {
            let error = &failure.unavailable;
            tracing::debug!(key = name, %error, "not taken back yet");
            (entry, false)
        }
    }
}

/// Waits for another state of the master.
pub(super) async fn changed(topology: &mut Option<watch::Receiver<State>>) {
    if let Some(topology) = topology
        && topology.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}
