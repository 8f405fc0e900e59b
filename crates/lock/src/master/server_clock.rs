//! How far a server's clock is from this process' own: for comparing the clocks of two masters.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Moment};
use crate::sync::Mutex;

/// An estimate tells nothing about a clock that may have been set since.
const MAX_AGE: Duration = Duration::from_secs(30);
/// How fast two clocks may drift apart: 1 ms in a second, ten times more than clocks do.
const DRIFT: u32 = 1_000;

/// What one reading of a server's clock tells: the server's time minus ours lies between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Estimate {
    lowest_us: i64,
    highest_us: i64,
    read_at: Moment,
}

impl Estimate {
    /// The server's time, µs since 1970, in a reply that has just been read to what was sent at `sent`.
    pub(crate) fn new(server_us: i64, sent: Moment) -> Self {
        let received = Clock::System.now();
        Self {
            lowest_us: server_us.saturating_sub(received.steady_us()),
            highest_us: server_us.saturating_sub(sent.steady_us()),
            read_at: received,
        }
    }

    fn width_us(&self) -> i64 {
        self.highest_us.saturating_sub(self.lowest_us)
    }

    /// The better of two estimates of one clock: the newer, unless the older is fresh and far narrower.
    pub(crate) fn or_better(self, older: Option<Self>) -> Self {
        match older {
            Some(older)
                if older.width_us() < self.width_us() / 2
                    && Clock::System.elapsed_since(older.read_at) < MAX_AGE / 6 =>
            {
                older
            }
            _ => self,
        }
    }
}

/// How far the clock of the new master may be ahead of the last one's at most; `None` if what is known
/// of the last one is too old.
pub(crate) fn ahead_by(last: &Estimate, new: &Estimate) -> Option<Duration> {
    let age = Clock::System.elapsed_since(last.read_at);
    if age > MAX_AGE {
        return None;
    }
    let ahead = new.highest_us.saturating_sub(last.lowest_us);
    let ahead = Duration::from_micros(u64::try_from(ahead).unwrap_or_default());
    Some(ahead + age / DRIFT)
}

/// The clock of the master that was followed last, and its `master_replid`.
#[derive(Default)]
pub(crate) struct LastMaster(Mutex<Option<(Arc<str>, Estimate)>>);

impl LastMaster {
    pub(crate) fn remember(&self, incarnation: Arc<str>, clock: Estimate) {
        *self.0.lock() = Some((incarnation, clock));
    }

    /// How far this clock may be ahead of that of the last master, if it is this one and known well enough.
    pub(crate) fn is_behind(&self, incarnation: &str, new: &Estimate) -> Option<Duration> {
        match &*self.0.lock() {
            Some((known, last)) if **known == *incarnation => ahead_by(last, new),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_covers_the_difference_and_the_round_trips() {
        let sent = Clock::System.now();
        let last = Estimate::new(1_000_000_000, sent);
        let new = Estimate::new(1_000_300_000, sent);
        let ahead = ahead_by(&last, &new).expect("fresh");
        assert!(ahead >= Duration::from_millis(300), "{ahead:?}");
        assert!(ahead < Duration::from_millis(400), "{ahead:?}");
        let behind = ahead_by(&new, &last).expect("fresh");
        assert!(behind < Duration::from_millis(1), "{behind:?}");
    }

    fn estimate(lowest_us: i64, highest_us: i64, age: Duration) -> Estimate {
        Estimate {
            lowest_us,
            highest_us,
            read_at: Clock::System.now().before(age),
        }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_old_tells_nothing() {
        let new = estimate(0, 1_000, Duration::ZERO);
        let ahead = ahead_by(&estimate(-1_000, 0, seconds(29)), &new).expect("half a minute");
        let drifted = Duration::from_millis(2 + 29);
        assert!(
            ahead >= drifted && ahead < drifted + Duration::from_millis(1),
            "{ahead:?}"
        );
        assert_eq!(ahead_by(&estimate(-1_000, 0, seconds(31)), &new), None);
    }

    #[test]
    fn a_far_narrower_estimate_is_kept_for_a_while() {
        let new = estimate(0, 1_000, Duration::ZERO);
        assert_eq!(new.or_better(None), new);
        let is_kept = |older: Estimate| new.or_better(Some(older)) == older;
        assert!(is_kept(estimate(0, 499, seconds(4))));
        assert!(!is_kept(estimate(0, 499, seconds(6))), "it is old");
        assert!(!is_kept(estimate(0, 500, seconds(4))), "it is half as wide");
        assert!(!is_kept(estimate(0, 2_000, seconds(4))), "it is wider");
    }
}
