//! Waiting within one process: a FIFO queue per resource, whose head alone contends.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::sync::Mutex;
use crate::error::Error;
use crate::protocol::keys::{Keys, LockKind};

/// More unclaimed calls than this are left to their claim's end.
pub(super) const MOST_UNCLAIMED: usize = 1_024;

/// A head that has been without a reply for less than this says what stood in the way of the one before
/// it; after that, that no reply came.
pub(super) const RECENT: Duration = Duration::from_millis(100);

/// The queues of one locker, one per resource that somebody waits for.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    queues: Mutex<HashMap<Arc<str>, Entry>>,
    /// Names that nobody waits for any more, and for which this process may still have a place.
    unclaimed: Mutex<HashSet<String>>,
    is_unclaimed: Notify,
    /// A fault for tests: a place that is left counts the references to its queue.
    #[cfg(test)]
    pub(crate) counts_references: bool,
}

/// A queue, and how many wait in it. They are counted under the lock of the map: two that leave at
/// once must not both take the other for still waiting.
#[derive(Debug, Default)]
struct Entry {
    queue: Arc<Queue>,
    places: usize,
}

#[derive(Debug)]
struct Queue {
    /// One permit, handed out in the order of asking.
    turn: Semaphore,
    /// The lock may have become free.
    freed: Notify,
    /// Another process was called; if it does not answer, it is our turn.
    soon: Notify,
    /// This process may have a place in the queue among processes.
    has_place: AtomicBool,
    obstacles: Mutex<Obstacles>,
}

#[derive(Debug, Default)]
struct Obstacles {
    /// What stood in the head's way last, for those whose time runs out behind it.
    now: Option<Error>,
    /// The same of the head before, or that it was granted.
    before: Option<Error>,
}

/// A place in a queue; leaves it when dropped.
pub(crate) struct Place {
    waiting: Arc<Waiting>,
    key: Arc<str>,
    queue: Arc<Queue>,
    is_head: bool,
    /// Since when this place is the head, if another was before it.
    followed: Option<Instant>,
}

impl Waiting {
    /// Enters the queue for `key`.
    pub(crate) fn enter(self: &Arc<Self>, key: &Arc<str>) -> Place {
        let mut queues = self.queues.lock();
        let entry = queues.entry(key.clone()).or_default();
        entry.places += 1;
        let queue = entry.queue.clone();
        drop(queues);
        Place {
            waiting: self.clone(),
            key: key.clone(),
            queue,
            is_head: false,
            followed: None,
        }
    }

    /// Tells the head of a queue that the lock may be free.
    pub(crate) fn freed(&self, key: &str) {
        if let Some(entry) = self.queues.lock().get(key) {
            entry.queue.freed.notify_one();
        }
    }

    /// As [`Waiting::freed`], for everyone who may use a lock of these keys.
    pub(crate) fn released(&self, keys: &Keys) {
        if keys.kind == LockKind::Plain {
            return self.freed(&keys.wait_key);
        }
        self.freed_where(|slots, name| slots != "-" && *name == *keys.name);
    }

    /// As [`Waiting::freed`], for a lock key that has changed: a plain lock, or `NAME:SLOT`.
    pub(crate) fn changed(&self, lock: &str) {
        let whole = lock.rsplit_once(':').map(|(whole, _)| whole);
        self.freed_where(|slots, name| match slots {
            "-" => name == lock,
            _ => Some(name) == whole,
        });
    }

    fn freed_where(&self, is_meant: impl Fn(&str, &str) -> bool) {
        for (key, entry) in &*self.queues.lock() {
            if key
                .split_once(' ')
                .is_some_and(|(slots, name)| is_meant(slots, name))
            {
                entry.queue.freed.notify_one();
            }
        }
    }

    /// As [`Waiting::freed`], for a call that holds up others until it is answered: if nobody waits
    /// here any more, the place is given up.
    pub(crate) fn called(&self, key: &str) {
        if self.is_waited_for(key) {
            return self.freed(key);
        }
        self.give_up(key);
    }

    /// Has the place of this process in the queue for `key` given up.
    fn give_up(&self, key: &str) {
        let mut unclaimed = self.unclaimed.lock();
        if unclaimed.len() < MOST_UNCLAIMED {
            unclaimed.insert(key.to_owned());
            self.is_unclaimed.notify_one();
        }
    }

    /// Waits until a place is to be given up, and takes the names.
    ///
    /// Cancel safe.
    pub(crate) async fn unclaimed(&self) -> HashSet<String> {
        loop {
            let names = self.take_unclaimed();
            if !names.is_empty() {
                return names;
            }
            self.is_unclaimed.notified().await;
        }
    }

    /// The names of places that are to be given up.
    pub(crate) fn take_unclaimed(&self) -> HashSet<String> {
        std::mem::take(&mut *self.unclaimed.lock())
    }

    /// Tells the head of a queue that the lock may be free soon.
    pub(crate) fn soon(&self, key: &str) {
        if let Some(entry) = self.queues.lock().get(key) {
            entry.queue.soon.notify_one();
        }
    }

    /// Whether somebody waits for `key`.
    pub(crate) fn is_waited_for(&self, key: &str) -> bool {
        self.queues.lock().contains_key(key)
    }

    /// What stood in the way of the head of a queue last.
    pub(crate) fn obstacle(&self, key: &str) -> Option<Error> {
        let queue = self.queues.lock().get(key)?.queue.clone();
        queue.obstacles.lock().now.clone()
    }

    /// Whether nobody waits for anything.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.queues.lock().is_empty()
    }
}

impl Place {
    /// Whether nobody is before this place, so that it would be the head at once.
    pub(crate) fn is_next(&self) -> bool {
        self.queue.turn.available_permits() > 0
    }

    /// Waits until this place is the head of the queue.
    ///
    /// Cancel safe: a place that is dropped lets the next one move up.
    pub(crate) async fn head(&mut self) {
        if self.is_head {
            return;
        }
        let is_next = self.is_next();
        if let Ok(turn) = self.queue.turn.acquire().await {
            // Given back when the place is left.
            turn.forget();
            self.is_head = true;
            self.followed = (!is_next).then(Instant::now);
        }
    }

    /// Waits for a hint that the lock may be free.
    ///
    /// Cancel safe.
    pub(crate) async fn freed(&self) {
        self.queue.freed.notified().await;
    }

    /// Waits for a hint that it may be our turn soon.
    ///
    /// Cancel safe.
    pub(crate) async fn soon(&self) {
        self.queue.soon.notified().await;
    }

    /// Records whether this process may have a place in the queue among processes.
    pub(crate) fn set_has_place(&self, has_place: bool) {
        self.queue.has_place.store(has_place, Ordering::Relaxed);
    }

    pub(crate) fn set_obstacle(&self, obstacle: Error) {
        self.queue.obstacles.lock().now = Some(obstacle);
    }

    /// Whether others wait behind this place.
    pub(crate) fn is_followed(&self) -> bool {
        // The map has one, and this place.
        Arc::strong_count(&self.queue) > 2
    }

    /// What stands in the way, as last read.
    pub(crate) fn obstacle(&self) -> Option<Error> {
        let obstacles = self.queue.obstacles.lock();
        let is_unanswered = self.asked_for().is_some_and(|asked| asked >= RECENT);
        let before = obstacles.before.as_ref().filter(|_| !is_unanswered);
        obstacles.now.as_ref().or(before).cloned()
    }

    /// How long this place has been asking since the one before it left.
    pub(crate) fn asked_for(&self) -> Option<Duration> {
        self.followed.map(|since| since.elapsed())
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            turn: Semaphore::new(1),
            freed: Notify::new(),
            soon: Notify::new(),
            has_place: AtomicBool::new(false),
            obstacles: Mutex::default(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_head {
            // What the next head is told by Redis is its own.
            let mut obstacles = self.queue.obstacles.lock();
            obstacles.before = obstacles.now.take().or(obstacles.before.take());
            drop(obstacles);
            self.queue.turn.add_permits(1);
        }
        let mut queues = self.waiting.queues.lock();
        let Some(entry) = queues.get_mut(&self.key) else {
            return;
        };
        entry.places -= 1;
        let is_last = entry.places == 0;
        #[cfg(test)]
        let is_last = match self.waiting.counts_references {
            true => Arc::strong_count(&self.queue) == 2,
            false => is_last,
        };
        if !is_last {
            return;
        }
        queues.remove(&self.key);
        drop(queues);
        if self.queue.has_place.load(Ordering::Relaxed) {
            self.waiting.give_up(&self.key);
        }
    }
}
