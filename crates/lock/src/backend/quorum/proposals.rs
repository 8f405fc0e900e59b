//! What the members are asked for, so that they agree in one round trip: a fence near the time, and
//! the arrival of a waiter.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::backend::ops::Proposal;
use crate::fence::{Fence, InvalidFence};
use crate::sync::Mutex;

/// What one locker proposes.
///
/// Fences are microseconds, and a member raises its counter to what it grants. So a locker proposes its
/// clock, or the greatest fence that it has seen and the time since, whichever is greater: among lockers
/// whose clocks differ, all follow the one that is ahead.
pub(super) struct Proposals {
    latest: Mutex<Latest>,
    /// When the waiters of this locker arrived, by what they wait for.
    arrivals: Mutex<HashMap<Arc<str>, i64>>,
}

/// The greatest fence that was proposed or seen.
struct Latest {
    fence: i64,
    at: Instant,
}

impl Proposals {
    pub(super) fn new() -> Self {
        let latest = Latest {
            fence: 0,
            at: Instant::now(),
        };
        Self {
            latest: Mutex::new(latest),
            arrivals: Mutex::default(),
        }
    }

    /// A fence greater than every one that this locker has proposed or seen. A waiter keeps the arrival
    /// of its first attempt until [`Proposals::end_wait`].
    pub(super) fn next(&self, wait_key: &Arc<str>, waits: bool) -> Result<Proposal, InvalidFence> {
        let fence = self.fence(SystemTime::now());
        let arrival = if waits {
            *self
                .arrivals
                .lock()
                .entry(wait_key.clone())
                .or_insert(fence)
        } else {
            fence
        };
        let fence = Fence::try_from(fence)?;
        Ok(Proposal { fence, arrival })
    }

    /// For a member that misses the lock of a lease with this fence: it goes before everyone who waits.
    pub(super) fn again(fence: Fence) -> Proposal {
        Proposal { fence, arrival: 0 }
    }

    /// Records a fence that a member answered.
    pub(super) fn seen(&self, fence: Fence) {
        let (mut latest, now) = (self.latest.lock(), Instant::now());
        if fence.as_i64() > latest.at_time(now) {
            *latest = Latest {
                fence: fence.as_i64(),
                at: now,
            };
        }
    }

    /// The next waiter for the same will be a new one.
    pub(super) fn end_wait(&self, wait_key: &str) {
        self.arrivals.lock().remove(wait_key);
    }

    fn fence(&self, now: SystemTime) -> i64 {
        let (mut latest, at) = (self.latest.lock(), Instant::now());
        let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let fence = microseconds(since_epoch)
            .max(latest.at_time(at))
            .max(latest.fence.saturating_add(1));
        *latest = Latest { fence, at };
        fence
    }
}

impl Latest {
    /// How far the fences will have come at `now`, if they go with the time.
    fn at_time(&self, now: Instant) -> i64 {
        let since = now.saturating_duration_since(self.at);
        self.fence.saturating_add(microseconds(since))
    }
}

fn microseconds(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn proposals_increase_and_follow_the_greatest_fence_that_was_seen() {
        let proposals = Proposals::new();
        let first = proposals.fence(at(1_000));
        assert_eq!(first, 1_000_000_000);
        assert!(proposals.fence(at(1_000)) > first);
        let ahead = Fence::try_from(5_000_000_000).expect("a fence");
        proposals.seen(ahead);
        assert!(proposals.fence(at(1_001)) > ahead.as_i64());
        proposals.seen(Fence::try_from(7).expect("a fence"));
        assert!(proposals.fence(at(900)) > ahead.as_i64());
        assert_eq!(proposals.fence(at(9_000)), 9_000_000_000);
    }

    #[test]
    fn a_waiter_keeps_its_arrival_until_its_wait_ends() {
        let proposals = Proposals::new();
        let key: Arc<str> = "- report".into();
        let next = |waits| proposals.next(&key, waits).expect("a proposal");
        let first = next(true);
        assert_eq!(first.arrival, first.fence.as_i64());
        let second = next(true);
        assert!(second.fence > first.fence && second.arrival == first.arrival);
        assert_ne!(next(false).arrival, first.arrival);
        proposals.end_wait(&key);
        assert!(next(true).arrival > first.arrival);
    }
}
