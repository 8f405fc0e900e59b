//! All reading of clocks.
//!
//! A lease ends by a clock that also runs while the machine sleeps (`CLOCK_BOOTTIME`; the standard
//! `Instant` stops in suspend), and by the wall clock's progress beside it, because a stopped and
//! restored virtual machine may stop the first but not the second. Whichever went further counts,
//! so both can end a lease early and neither can prolong it.

use std::time::Duration;

use tokio::time::Instant;

/// Where a locker takes its time from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Clock {
    /// The operating system's clocks.
    System,
    /// The runtime's clock, which tests can pause and advance.
    Runtime { origin: Instant },
}

/// A point in time on one [`Clock`]; meaningless on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    steady: Duration,
    wall: Duration,
}

impl Moment {
    /// The steady clock in µs, for comparing other machines' clocks with this one.
    pub(crate) fn steady_us(self) -> i64 {
        i64::try_from(self.steady.as_micros()).unwrap_or(i64::MAX)
    }

    /// Whether it was at `other` or after it, by the steady clock.
    pub(crate) fn is_since(self, other: Self) -> bool {
        self.steady >= other.steady
    }

    /// A moment that was so long before.
    #[cfg(test)]
    pub(crate) fn before(self, span: Duration) -> Self {
        Self {
            steady: self.steady.saturating_sub(span),
            wall: self.wall.saturating_sub(span),
        }
    }
}

impl Clock {
    pub(crate) fn runtime() -> Self {
        Self::Runtime {
            origin: Instant::now(),
        }
    }

    pub(crate) fn now(self) -> Moment {
        match self {
            Self::System => Moment {
                steady: system::steady(),
                wall: system::wall(),
            },
            Self::Runtime { origin } => {
                let steady = origin.elapsed();
                Moment {
                    steady,
                    wall: steady,
                }
            }
        }
    }

    /// How much time has passed since `moment`: by the clock that went further.
    pub(crate) fn elapsed_since(self, moment: Moment) -> Duration {
        let now = self.now();
        let steady = now.steady.saturating_sub(moment.steady);
        let wall = now.wall.saturating_sub(moment.wall);
        steady.max(wall)
    }

    /// What is left of `span` that began at `start`; zero once it is over.
    pub(crate) fn remaining(self, start: Moment, span: Duration) -> Duration {
        span.saturating_sub(self.elapsed_since(start))
    }
}

#[cfg(unix)]
mod system {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    /// The one of Linux runs while the machine sleeps. So does `CLOCK_MONOTONIC` of macOS.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const STEADY: ClockId = ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const STEADY: ClockId = ClockId::Monotonic;

    pub(super) fn steady() -> Duration {
        read(STEADY)
    }

    pub(super) fn wall() -> Duration {
        read(ClockId::Realtime)
    }

    fn read(clock: ClockId) -> Duration {
        Duration::try_from(clock_gettime(clock)).unwrap_or_default()
    }
}

#[cfg(not(unix))]
use standard as system;

/// The clocks of the standard library, where there are no others. On Windows the steady one runs while the machine
/// sleeps; where it does not, the wall clock tells.
#[cfg(any(test, not(unix)))]
mod standard {
    use std::sync::LazyLock;
    use std::time::{Duration, Instant, SystemTime};

    /// So early that no moment is before it.
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

    pub(super) fn steady() -> Duration {
        ORIGIN.elapsed()
    }

    pub(super) fn wall() -> Duration {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since_1970.unwrap_or_default()
    }
}

/// How much earlier than the server's expiry a lease ends for its holder: 1 % of the TTL for clocks
/// that run at slightly different rates, and 2 ms for Redis' precision (Redlock's own margin).
pub(crate) fn validity(ttl: Duration) -> Duration {
    ttl.saturating_sub(ttl / 100 + Duration::from_millis(2))
}

/// So long that nobody waits for its end, and short enough for every clock.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// `span` after `now`, or at the end of what a timer can wait for.
pub(crate) fn later(now: Instant, span: Duration) -> Instant {
    now.checked_add(span.min(FAR)).unwrap_or(now)
}

/// As [`later`], for the standard library's clock.
pub(crate) fn later_std(now: std::time::Instant, span: Duration) -> std::time::Instant {
    now.checked_add(span.min(FAR)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_runtime_clock_can_be_advanced() {
        let clock = Clock::runtime();
        let start = clock.now();
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(clock.elapsed_since(start), Duration::from_secs(3));
        assert_eq!(
            clock.remaining(start, Duration::from_secs(5)),
            Duration::from_secs(2)
        );
        assert_eq!(
            clock.remaining(start, Duration::from_secs(2)),
            Duration::ZERO
        );
    }

    #[test]
    fn the_clocks_of_the_standard_library_go_as_those_of_the_system_do() {
        let (steady, wall) = (standard::steady(), standard::wall());
        let before = (system::steady(), system::wall());
        std::thread::sleep(Duration::from_millis(20));
        let passed = system::steady() - before.0;
        assert!(standard::steady() - steady >= passed);
        assert!(standard::wall().abs_diff(system::wall()) < Duration::from_secs(1));
        assert!(wall.abs_diff(before.1) < Duration::from_secs(1));
    }

    #[test]
    fn whichever_clock_went_further_counts() {
        let clock = Clock::System;
        let now = clock.now();
        let hour = Duration::from_secs(3600);
        let slept = Moment {
            steady: now.steady.saturating_sub(hour),
            wall: now.wall,
        };
        let restored = Moment {
            steady: now.steady,
            wall: now.wall.saturating_sub(hour),
        };
        let set_back = Moment {
            steady: now.steady,
            wall: now.wall + hour,
        };
        assert!(clock.elapsed_since(restored) >= hour);
        assert!(clock.elapsed_since(slept) >= hour.min(now.steady));
        assert!(clock.elapsed_since(set_back) < hour);
    }

    /// Lengths at and around every edge that arithmetic on time has.
    const EDGES: [Duration; 12] = [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_millis(1),
        Duration::from_millis(100),
        Duration::from_secs(1),
        Duration::from_secs(60),
        FAR,
        Duration::from_secs(i64::MAX as u64 - 1),
        Duration::from_secs(i64::MAX as u64),
        Duration::from_secs(i64::MAX as u64 + 1),
        Duration::from_secs(u64::MAX),
        Duration::MAX,
    ];

    #[test]
    fn no_length_of_time_overflows_a_clock() {
        let (now, std_now) = (Instant::now(), std::time::Instant::now());
        for span in EDGES {
            assert!(later(now, span) >= now && later_std(std_now, span) >= std_now);
            assert!(span.is_zero() || later(now, span) > now, "{span:?}");
            assert!(validity(span) <= span, "{span:?}");
            for clock in [Clock::System, Clock::Runtime { origin: now }] {
                for steady in EDGES {
                    for wall in EDGES {
                        let left = clock.remaining(Moment { steady, wall }, span);
                        assert!(left <= span, "{span:?} since {steady:?}, {wall:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_lease_ends_before_its_key_can() {
        assert_eq!(
            validity(Duration::from_secs(10)),
            Duration::from_millis(9_898)
        );
        assert_eq!(validity(Duration::from_millis(1)), Duration::ZERO);
    }
}
