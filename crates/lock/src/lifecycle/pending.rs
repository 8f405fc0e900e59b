//! What is to be released in the background, and what of it is tried next.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::wait_queue::Waiting;
use crate::backend::Backend;
use crate::backend::ops::Request;
use crate::clock::later;
use crate::protocol::keys::Keys;
use crate::transport::server_errors::Failure;

#[derive(Default)]
pub(super) struct PendingCleanups {
    cleanups: HashMap<String, PendingCleanup>,
    /// What is to be tried next, each once.
    due: VecDeque<String>,
    /// What has failed and is tried again after a pause.
    resting: Vec<String>,
    /// How many cleanups there have been.
    count: u64,
    /// The last handle is gone: the task ends once nothing is left.
    pub(super) is_closing: bool,
    /// When the runtime's end is held up no longer; set once the task is gone.
    pub(super) give_up_at: Option<std::time::Instant>,
}

/// One of them, while it is tried.
#[derive(Clone)]
pub(super) struct PendingCleanup {
    pub(super) cleanup: Cleanup,
    until: Instant,
    /// Tells it from an earlier one of the same id.
    number: u64,
}

impl PendingCleanups {
    pub(super) fn insert(&mut self, cleanup: Cleanup, lasts: Duration) {
        self.count += 1;
        let (id, number) = (cleanup.id(), self.count);
        let until = later(Instant::now(), lasts);
        let entry = PendingCleanup {
            cleanup,
            until,
            number,
        };
        // One that is known is due already, or rests, or is looked at again when its attempt ends.
        if self.cleanups.insert(id.clone(), entry).is_none() {
            self.due.push_back(id);
        }
    }

    /// Takes the next one that may be left still.
    pub(super) fn begin(&mut self) -> Option<PendingCleanup> {
        let now = Instant::now();
        while let Some(id) = self.due.pop_front() {
            match self.cleanups.get(&id) {
                Some(entry) if entry.until > now => return Some(entry.clone()),
                _ => self.cleanups.remove(&id),
            };
        }
        None
    }

    /// Records how an attempt ended.
    pub(super) fn end(&mut self, tried: &PendingCleanup, is_settled: bool) {
        let id = tried.cleanup.id();
        match self.cleanups.get(&id) {
            Some(entry) if entry.number > tried.number => self.due.push_back(id),
            Some(_) if is_settled => drop(self.cleanups.remove(&id)),
            Some(_) => self.resting.push(id),
            None => {}
        }
    }

    pub(super) fn len(&self) -> usize {
        self.cleanups.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cleanups.is_empty()
    }

    /// Whether something has failed and waits for its next attempt.
    pub(super) fn is_resting(&self) -> bool {
        !self.resting.is_empty()
    }

    pub(super) fn end_rest(&mut self) {
        self.due.extend(self.resting.drain(..));
    }

    /// Takes the locks that may be left still. Places in queues end by themselves.
    pub(super) fn take_locks(&mut self) -> Vec<Request> {
        let now = Instant::now();
        self.due.clear();
        self.resting.clear();
        let cleanups = std::mem::take(&mut self.cleanups).into_values();
        let lasting = cleanups.filter(|entry| entry.until > now);
        lasting
            .filter_map(|entry| match entry.cleanup {
                Cleanup::TakeBack(request) => Some(request),
                Cleanup::Leave(_) => None,
            })
            .collect()
    }
}

#[derive(Clone)]
pub(super) enum Cleanup {
    /// A lock that the token may hold.
    TakeBack(Request),
    /// A place in a queue.
    Leave(Arc<Keys>),
}

impl Cleanup {
    fn id(&self) -> String {
        match self {
            Self::TakeBack(request) => request.token.reveal().to_owned(),
            Self::Leave(keys) => format!("leave {}", keys.wait_key),
        }
    }

    pub(super) fn keys(&self) -> &Keys {
        match self {
            Self::TakeBack(request) => &request.keys,
            Self::Leave(keys) => keys,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.keys().name
    }

    pub(super) async fn run(&self, backend: &Backend, waiting: &Waiting) -> Result<(), Failure> {
        match self {
            // Somebody else of this process has taken over the place meanwhile.
            Self::Leave(keys) if waiting.is_waited_for(&keys.wait_key) => Ok(()),
            Self::TakeBack(request) => backend.take_back(request).await,
            Self::Leave(keys) => {
                let left = backend.leave(keys).await;
                // Who came meanwhile has the same place, and may have been taken out with it: it asks again.
                waiting.freed(&keys.wait_key);
                left
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leave(name: &str) -> Cleanup {
        let keys = Keys::of_waiters(&format!("- {name}")).expect("a wait key");
        Cleanup::Leave(Arc::new(keys))
    }

    #[test]
    fn what_comes_again_during_an_attempt_is_tried_again() {
        let mut pending = PendingCleanups::default();
        let minute = Duration::from_secs(60);
        pending.insert(leave("a"), minute);
        let first = pending.begin().expect("a pending cleanup");
        pending.insert(leave("a"), minute);
        assert!(pending.begin().is_none(), "it is in progress");
        pending.end(&first, true);
        let second = pending.begin().expect("the one that came meanwhile");
        pending.end(&second, true);
        assert!(pending.begin().is_none() && pending.cleanups.is_empty());
    }

    #[test]
    fn what_failed_rests_and_what_has_expired_is_forgotten() {
        let mut pending = PendingCleanups::default();
        pending.insert(leave("expired"), Duration::ZERO);
        pending.insert(leave("a"), Duration::from_secs(60));
        let failed = pending.begin().expect("a pending cleanup");
        pending.end(&failed, false);
        assert!(pending.begin().is_none());
        assert_eq!(pending.cleanups.len(), 1);
        pending.end_rest();
        assert!(pending.begin().is_some());
    }
}
