//! The rules that all connections of one proxy obey.

use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use super::{Afterwards, Mode};

/// A running count of one sequence of bytes in what clients send; made by [`Proxy::count`](super::Proxy::count).
#[derive(Debug, Clone)]
pub struct Counter {
    needle: Vec<u8>,
    seen: Arc<AtomicUsize>,
}

impl Counter {
    /// How often it was seen so far.
    #[must_use]
    pub fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

#[derive(Default)]
pub(super) struct Traffic {
    rules: Mutex<Rules>,
    changed: Condvar,
    replies_dropped: AtomicUsize,
}

#[derive(Default)]
struct Rules {
    mode: Mode,
    stopped: bool,
    armed: Vec<(Vec<u8>, Afterwards)>,
    counters: Vec<Counter>,
}

impl Traffic {
    pub(super) fn set_mode(&self, mode: Mode) {
        self.rules().mode = mode;
        self.changed.notify_all();
    }

    pub(super) fn mode(&self) -> Mode {
        self.rules().mode
    }

    /// Lets all threads that wait for a change go, and says that the proxy is gone.
    pub(super) fn stop(&self) {
        self.rules().stopped = true;
        self.changed.notify_all();
    }

    /// Returns when traffic may move again: `false` when the proxy is gone.
    pub(super) fn wait_while_blackholed(&self) -> bool {
        let blocked = |rules: &mut Rules| !rules.stopped && rules.mode == Mode::Blackhole;
        let rules = self
            .changed
            .wait_while(self.rules(), blocked)
            .unwrap_or_else(PoisonError::into_inner);
        !rules.stopped
    }

    pub(super) fn arm(&self, needle: &[u8], afterwards: Afterwards) {
        self.rules().armed.push((needle.to_vec(), afterwards));
    }

    pub(super) fn count(&self, needle: &[u8]) -> Counter {
        let counter = Counter {
            needle: needle.to_vec(),
            seen: Arc::default(),
        };
        self.rules().counters.push(counter.clone());
        counter
    }

    pub(super) fn replies_dropped(&self) -> usize {
        self.replies_dropped.load(Ordering::SeqCst)
    }

    pub(super) fn note_dropped_reply(&self) {
        self.replies_dropped.fetch_add(1, Ordering::SeqCst);
    }

    /// Looks through what a client sent: counts, and says whether a reply is to be dropped for it.
    ///
    /// `window` is the end of what came before, followed by `fresh` new bytes.
    pub(super) fn inspect(&self, window: &[u8], fresh: usize) -> Option<Afterwards> {
        let mut rules = self.rules();
        for counter in &rules.counters {
            counter.seen.fetch_add(
                occurrences(window, &counter.needle, fresh),
                Ordering::SeqCst,
            );
        }
        let hit = rules
            .armed
            .iter()
            .position(|(needle, _)| occurrences(window, needle, fresh) > 0)?;
        Some(rules.armed.swap_remove(hit).1)
    }

    /// How much of the past a window must hold, for no needle to be missed across two reads.
    pub(super) fn overlap(&self) -> usize {
        let rules = self.rules();
        let needles = rules.armed.iter().map(|(needle, _)| needle.len());
        let longest = needles
            .chain(rules.counters.iter().map(|counter| counter.needle.len()))
            .max();
        longest.unwrap_or_default().saturating_sub(1)
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often `needle` ends within the last `fresh` bytes; an empty one is found once wherever there is traffic.
fn occurrences(window: &[u8], needle: &[u8], fresh: usize) -> usize {
    if needle.is_empty() {
        return usize::from(fresh > 0);
    }
    let old = window.len() - fresh;
    let found = window
        .windows(needle.len())
        .enumerate()
        .filter(|(_, part)| *part == needle);
    found
        .filter(|(start, _)| start + needle.len() > old)
        .count()
}

#[cfg(test)]
mod tests {
    use super::occurrences;

    #[test]
    fn a_needle_is_found_once_however_the_stream_is_cut() {
        assert_eq!(occurrences(b"xEVAL", b"EVAL", 5), 1);
        assert_eq!(occurrences(b"xEVALx", b"EVAL", 1), 0);
        assert_eq!(occurrences(b"VALEVA", b"EVAL", 3), 0);
        assert_eq!(occurrences(b"EVAL", b"EVAL", 1), 1);
        assert_eq!(occurrences(b"EVALEVAL", b"EVAL", 8), 2);
    }
}
