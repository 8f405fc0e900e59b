//! When a command must be gone, on a clock that two processes share.
//!
//! The clock is `CLOCK_BOOTTIME`: it goes on while the machine sleeps, as the server's does, and
//! reads the same in the process that holds the lease and in its guard.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// An instant of the shared clock, as time since the machine started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

impl Instant {
    pub(crate) fn now() -> Self {
        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
        Self(Duration::new(seconds, nanoseconds))
    }

    /// How long `earlier` is past; zero if it is not.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    pub(crate) fn since_boot(self) -> Duration {
        self.0
    }

    pub(crate) fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self(Duration::from_nanos(nanoseconds))
    }

    pub(crate) fn as_nanoseconds(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }

    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }

    pub(crate) fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}

/// How the last part of a lease is spent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Margins {
    /// From `SIGKILL` to the deadline: until the kernel has carried it out, also on a busy machine.
    death: Duration,
    /// From `SIGTERM` to `SIGKILL`: for the command to clean up.
    pub(crate) grace: Duration,
}

impl Margins {
    /// The longest time that a command is given to clean up, unless told otherwise.
    const LONGEST_GRACE: Duration = Duration::from_secs(5);

    /// For leases of this length. The grace is a quarter of it at most, so that a failed renewal
    /// can be repeated for more than half of the lease before the command has to go.
    pub(crate) fn new(ttl: Duration, grace: Option<Duration>) -> Self {
        Self {
            death: (ttl / 10).clamp(Duration::from_millis(25), Duration::from_secs(1)),
            grace: grace.unwrap_or(Self::LONGEST_GRACE).min(ttl / 4),
        }
    }

    /// The deadlines of a lease that ends after `remaining`, read no earlier than `now`.
    pub(crate) fn deadlines(self, now: Instant, remaining: Duration) -> Deadlines {
        let kill_at = now.after(remaining).before(self.death);
        Deadlines {
            terminate_at: kill_at.before(self.grace),
            kill_at,
        }
    }
}

/// When a command is asked to end, and when it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deadlines {
    pub(crate) terminate_at: Instant,
    pub(crate) kill_at: Instant,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_killed_before_the_lease_ends() {
        let now = Instant::now();
        for milliseconds in [100, 1_000, 30_000, 3_600_000] {
            let ttl = Duration::from_millis(milliseconds);
            let Deadlines {
                terminate_at,
                kill_at,
            } = Margins::new(ttl, None).deadlines(now, ttl);
            assert!(now < terminate_at && terminate_at < kill_at && kill_at < now.after(ttl));
        }
    }
}
