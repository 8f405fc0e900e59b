//! The reaper: takes back what nobody holds any more but Redis may still have, in the background:
//! dropped guards, cancelled acquisitions, grants whose reply was lost.
//!
//! It tries until the server confirms that the token holds nothing, or until the key must have
//! expired by itself. It outlives its locker until it has finished.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use crate::backend::{Backend, Request};
use crate::redis::classify::Failure;
use crate::redis::topology::State;
use crate::resource::Keys;
use crate::waiting::Waiting;

/// More than this many at once are left to their TTL.
const MOST: usize = 65_536;
/// How many are taken back in one go.
const TOGETHER: usize = 256;
/// How long giving up a place in a queue is tried. After that it has stopped counting, or soon will.
const PLACE_COUNTS: Duration = Duration::from_secs(60);
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A handle to the reaper's task; clones share it.
#[derive(Clone)]
pub(crate) struct Reaper {
    shared: Arc<Shared>,
    handles: Arc<Handles>,
}

/// Tells the task when the last handle is gone.
struct Handles(Arc<Shared>);

impl Drop for Handles {
    fn drop(&mut self) {
        self.0.state().is_closing = true;
        self.0.changed.notify_one();
    }
}

struct Shared {
    state: Mutex<Pending>,
    changed: Notify,
    idle: watch::Sender<bool>,
}

#[derive(Default)]
struct Pending {
    debts: HashMap<String, Debt>,
    is_closing: bool,
}

#[derive(Clone)]
struct Debt {
    errand: Errand,
    until: Instant,
}

#[derive(Clone)]
enum Errand {
    /// A lock that the token may hold.
    TakeBack(Request),
    /// A place in a queue.
    Leave(Arc<Keys>),
}

impl Errand {
    fn id(&self) -> String {
        match self {
            Self::TakeBack(request) => request.token.reveal().to_owned(),
            Self::Leave(keys) => format!("leave {}", keys.name),
        }
    }

    fn keys(&self) -> &Keys {
        match self {
            Self::TakeBack(request) => &request.keys,
            Self::Leave(keys) => keys,
        }
    }

    fn name(&self) -> &str {
        &self.keys().name
    }

    async fn run(&self, backend: &Backend, waiting: &Waiting) -> Result<(), Failure> {
        match self {
            // Somebody else of this process has taken over the place meanwhile.
            Self::Leave(keys) if waiting.is_waited_for(&keys.name) => Ok(()),
            Self::TakeBack(request) => backend.take_back(request).await.map(|_| ()),
            Self::Leave(keys) => backend.leave(keys).await,
        }
    }
}

impl Reaper {
    pub(crate) fn start(backend: Arc<Backend>, waiting: Arc<Waiting>) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Notify::new(),
            idle: watch::Sender::new(true),
        });
        tokio::spawn(reap(shared.clone(), backend, waiting));
        Self {
            handles: Arc::new(Handles(shared.clone())),
            shared,
        }
    }

    /// Takes a lock back whose key may live for `ttl` from now on.
    pub(crate) fn take_back(&self, request: &Request, ttl: Duration) {
        self.add(Errand::TakeBack(request.clone()), ttl);
    }

    fn add(&self, errand: Errand, lasts: Duration) {
        let mut state = self.shared.state();
        if state.debts.len() >= MOST {
            drop(state);
            tracing::warn!(
                key = errand.name(),
                "too much to take back: left to its expiry"
            );
            return;
        }
        let until = Instant::now() + lasts;
        state.debts.insert(errand.id(), Debt { errand, until });
        drop(state);
        self.shared.idle.send_replace(false);
        self.shared.changed.notify_one();
    }

    /// Gives up places in queues that nobody wants any more.
    pub(crate) fn leave(&self, names: HashSet<String>) {
        self.shared.leave_all(names);
        self.shared.changed.notify_one();
    }

    /// Waits until nothing is left to take back.
    ///
    /// Cancel safe.
    pub(crate) async fn finished(&self) {
        let mut idle = self.shared.idle.subscribe();
        let _ = idle.wait_for(|idle| *idle).await;
    }
}

impl std::fmt::Debug for Reaper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let handles = Arc::strong_count(&self.handles);
        f.debug_struct("Reaper")
            .field("handles", &handles)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, Pending> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to take back next, or `None` when the task can end.
    fn next(&self) -> Option<Vec<Debt>> {
        let mut state = self.state();
        let now = Instant::now();
        state.debts.retain(|_, debt| debt.until > now);
        if state.debts.is_empty() {
            self.idle.send_replace(true);
            return (!state.is_closing).then(Vec::new);
        }
        Some(state.debts.values().take(TOGETHER).cloned().collect())
    }

    /// Gives up places that nobody wants any more.
    fn leave_all(&self, names: HashSet<String>) {
        if names.is_empty() {
            return;
        }
        let until = Instant::now() + PLACE_COUNTS;
        let mut state = self.state();
        for name in names {
            let errand = Errand::Leave(Arc::new(Keys::of_queue(name)));
            state.debts.insert(errand.id(), Debt { errand, until });
        }
        drop(state);
        self.idle.send_replace(false);
    }

    fn settled(&self, debt: &Debt) {
        self.state().debts.remove(&debt.errand.id());
    }
}

async fn reap(shared: Arc<Shared>, backend: Arc<Backend>, waiting: Arc<Waiting>) {
    let mut topology = backend.topology();
    let mut pause = SHORTEST_PAUSE;
    while let Some(debts) = shared.next() {
        if debts.is_empty() {
            tokio::select! {
                () = shared.changed.notified() => {}
                names = waiting.unclaimed() => shared.leave_all(names),
            }
            continue;
        }
        shared.leave_all(waiting.take_unclaimed());
        let count = debts.len();
        let attempts = debts.into_iter().map(|debt| async {
            let answer = debt.errand.run(&backend, &waiting).await;
            (debt, answer)
        });
        let mut settled = 0;
        for (debt, answer) in join_all(attempts).await {
            match answer {
                Ok(_) => {
                    shared.settled(&debt);
                    if !backend.calls_waiters(debt.errand.keys()) {
                        waiting.freed(debt.errand.name());
                    }
                    settled += 1;
                }
                Err(failure) => {
                    let (key, error) = (debt.errand.name(), &failure.unavailable);
                    tracing::debug!(key, %error, "not taken back yet");
                }
            }
        }
        if settled == count {
            pause = SHORTEST_PAUSE;
            continue;
        }
        tokio::select! {
            () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = changed(&mut topology) => pause = SHORTEST_PAUSE,
        }
    }
}

/// Waits for another state of the master.
async fn changed(topology: &mut Option<watch::Receiver<State>>) {
    if let Some(topology) = topology
        && topology.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}
