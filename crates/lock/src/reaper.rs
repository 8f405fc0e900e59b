//! The reaper: takes back what nobody holds any more but Redis may still have, in the background:
//! dropped guards, cancelled acquisitions, grants whose reply was lost.
//!
//! It tries until the server confirms that the token holds nothing, or until the key must have
//! expired by itself. It outlives its locker until it has finished.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use crate::backend::{Backend, Request};
use crate::redis::topology::State;

/// More than this many at once are left to their TTL.
const MOST: usize = 65_536;
/// How many are taken back in one go.
const TOGETHER: usize = 256;
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
    by_token: HashMap<Arc<str>, Debt>,
    is_closing: bool,
}

#[derive(Clone)]
struct Debt {
    request: Request,
    until: Instant,
}

impl Reaper {
    pub(crate) fn start(
        backend: Arc<Backend>,
        on_freed: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Notify::new(),
            idle: watch::Sender::new(true),
        });
        tokio::spawn(reap(shared.clone(), backend, on_freed));
        Self {
            handles: Arc::new(Handles(shared.clone())),
            shared,
        }
    }

    /// Takes a lock back whose key may live for `ttl` from now on.
    pub(crate) fn take_back(&self, request: &Request, ttl: Duration) {
        let mut state = self.shared.state();
        if state.by_token.len() >= MOST {
            drop(state);
            tracing::warn!(
                key = request.keys.lock,
                "too much to take back: left to its expiry"
            );
            return;
        }
        let debt = Debt {
            request: request.clone(),
            until: Instant::now() + ttl,
        };
        state.by_token.insert(request.token.reveal().into(), debt);
        drop(state);
        self.shared.idle.send_replace(false);
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
        state.by_token.retain(|_, debt| debt.until > now);
        if state.by_token.is_empty() {
            self.idle.send_replace(true);
            return (!state.is_closing).then(Vec::new);
        }
        Some(state.by_token.values().take(TOGETHER).cloned().collect())
    }

    fn settled(&self, debt: &Debt) {
        self.state().by_token.remove(debt.request.token.reveal());
    }
}

async fn reap(shared: Arc<Shared>, backend: Arc<Backend>, on_freed: impl Fn(&str)) {
    let mut topology = backend.topology();
    let mut pause = SHORTEST_PAUSE;
    while let Some(debts) = shared.next() {
        if debts.is_empty() {
            shared.changed.notified().await;
            continue;
        }
        let count = debts.len();
        let attempts = debts.into_iter().map(|debt| async {
            let answer = backend
                .release(&debt.request.keys, &debt.request.token)
                .await;
            (debt, answer)
        });
        let mut settled = 0;
        for (debt, answer) in join_all(attempts).await {
            match answer {
                Ok(_) => {
                    shared.settled(&debt);
                    on_freed(&debt.request.keys.lock);
                    settled += 1;
                }
                Err(failure) => {
                    let (key, error) = (&debt.request.keys.lock, &failure.unavailable);
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
