//! The reaper: takes back what nobody holds any more but Redis may still have, in the background:
//! dropped guards, cancelled acquisitions, grants whose reply was lost.
//!
//! It tries until the server confirms that the token holds nothing, or until the key must have
//! expired by itself. One that a server leaves unanswered holds up no other. It outlives its locker
//! until it has finished.

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use crate::backend::{Backend, Request};
use crate::clock::later;
use crate::redis::classify::Failure;
use crate::redis::topology::State;
use crate::resource::Keys;
use crate::waiting::Waiting;

/// More than this many at once are left to their TTL.
const MOST: usize = 65_536;
/// How many are taken back at once.
const AT_ONCE: usize = 256;
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
    /// What is to be tried next, each once.
    due: VecDeque<String>,
    /// What has failed and is tried again after a pause.
    resting: Vec<String>,
    /// How many debts there have been.
    count: u64,
    is_closing: bool,
}

#[derive(Clone)]
struct Debt {
    errand: Errand,
    until: Instant,
    /// Tells it from an earlier one of the same id.
    number: u64,
}

impl Pending {
    fn insert(&mut self, errand: Errand, lasts: Duration) {
        self.count += 1;
        let (id, number) = (errand.id(), self.count);
        let until = later(Instant::now(), lasts);
        let debt = Debt {
            errand,
            until,
            number,
        };
        // One that is known is due already, or rests, or is looked at again when its attempt ends.
        if self.debts.insert(id.clone(), debt).is_none() {
            self.due.push_back(id);
        }
    }

    /// Takes the next one that may be left still.
    fn begin(&mut self) -> Option<Debt> {
        let now = Instant::now();
        while let Some(id) = self.due.pop_front() {
            match self.debts.get(&id) {
                Some(debt) if debt.until > now => return Some(debt.clone()),
                _ => self.debts.remove(&id),
            };
        }
        None
    }

    /// Records how an attempt ended.
    fn end(&mut self, tried: &Debt, is_settled: bool) {
        let id = tried.errand.id();
        match self.debts.get(&id) {
            Some(debt) if debt.number > tried.number => self.due.push_back(id),
            Some(_) if is_settled => drop(self.debts.remove(&id)),
            Some(_) => self.resting.push(id),
            None => {}
        }
    }

    fn end_rest(&mut self) {
        self.due.extend(self.resting.drain(..));
    }
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
            Self::TakeBack(request) => backend.take_back(request).await,
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
        state.insert(errand, lasts);
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

    /// Gives up places that nobody wants any more.
    fn leave_all(&self, names: HashSet<String>) {
        if names.is_empty() {
            return;
        }
        let mut state = self.state();
        for name in names {
            let errand = Errand::Leave(Arc::new(Keys::of_queue(name)));
            state.insert(errand, PLACE_COUNTS);
        }
        drop(state);
        self.idle.send_replace(false);
    }
}

async fn reap(shared: Arc<Shared>, backend: Arc<Backend>, waiting: Arc<Waiting>) {
    let mut topology = backend.topology();
    let mut attempts = FuturesUnordered::new();
    let mut pause = SHORTEST_PAUSE;
    let mut rest = pin!(sleep(Duration::ZERO));
    loop {
        shared.leave_all(waiting.take_unclaimed());
        let is_resting = {
            let mut state = shared.state();
            while attempts.len() < AT_ONCE
                && let Some(debt) = state.begin()
            {
                attempts.push(attempt(debt, &backend, &waiting));
            }
            if state.debts.is_empty() {
                pause = SHORTEST_PAUSE;
                shared.idle.send_replace(true);
                if state.is_closing {
                    return;
                }
            }
            !state.resting.is_empty()
        };
        tokio::select! {
            Some((debt, is_settled)) = attempts.next(), if !attempts.is_empty() => {
                shared.state().end(&debt, is_settled);
                if !is_settled && !is_resting {
                    rest.as_mut().reset(Instant::now() + pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            () = rest.as_mut(), if is_resting => shared.state().end_rest(),
            () = changed(&mut topology), if is_resting => {
                pause = SHORTEST_PAUSE;
                shared.state().end_rest();
            }
            () = shared.changed.notified() => {}
            names = waiting.unclaimed() => shared.leave_all(names),
        }
    }
}

async fn attempt(debt: Debt, backend: &Backend, waiting: &Waiting) -> (Debt, bool) {
    let name = debt.errand.name();
    match debt.errand.run(backend, waiting).await {
        Ok(()) => {
            if !backend.calls_waiters(debt.errand.keys()) {
                waiting.freed(name);
            }
            (debt, true)
        }
        Err(failure) => {
            let error = &failure.unavailable;
            tracing::debug!(key = name, %error, "not taken back yet");
            (debt, false)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn leave(name: &str) -> Errand {
        Errand::Leave(Arc::new(Keys::of_queue(name.to_owned())))
    }

    #[test]
    fn what_comes_again_during_an_attempt_is_tried_again() {
        let mut pending = Pending::default();
        let minute = Duration::from_secs(60);
        pending.insert(leave("a"), minute);
        let first = pending.begin().expect("a debt");
        pending.insert(leave("a"), minute);
        assert!(pending.begin().is_none(), "it is under way");
        pending.end(&first, true);
        let second = pending.begin().expect("the one that came meanwhile");
        pending.end(&second, true);
        assert!(pending.begin().is_none() && pending.debts.is_empty());
    }

    #[test]
    fn what_failed_rests_and_what_has_expired_is_forgotten() {
        let mut pending = Pending::default();
        pending.insert(leave("expired"), Duration::ZERO);
        pending.insert(leave("a"), Duration::from_secs(60));
        let failed = pending.begin().expect("a debt");
        pending.end(&failed, false);
        assert!(pending.begin().is_none());
        assert_eq!(pending.debts.len(), 1);
        pending.end_rest();
        assert!(pending.begin().is_some());
    }
}
