//! How leases behave, whichever servers keep them.

use std::time::Duration;

use crate::topology::{Locking, Topology};

/// The shortest lease: a shorter one ends before it can be renewed.
pub(crate) const SHORTEST_TTL: Duration = Duration::from_millis(100);
/// The bounds of every other duration. None is zero, and none overflows when it is added to a clock.
pub(crate) const SHORTEST: Duration = Duration::from_millis(1);
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
pub(crate) const DEFAULT_TTL: Duration = Duration::from_secs(30);
pub(crate) const DEFAULT_RETRY_INTERVAL: Duration = Duration::from_secs(5);
pub(crate) const DEFAULT_MAX_CLOCK_SKEW: Duration = Duration::from_millis(500);

/// Lease lengths, waiting, safety, and the names under which locks are kept.
///
/// ```
/// use std::time::Duration;
/// use leasehold_config::{LockOptions, Renewal};
///
/// let options = LockOptions::default();
/// assert_eq!(options.ttl, Duration::from_secs(30));
/// assert_eq!(options.renewal, Renewal::Every(Duration::from_secs(10)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockOptions {
    /// How long a lease lasts unless it is renewed: from 100 ms to `max_ttl`.
    pub ttl: Duration,
    /// The longest lease that any client of this Redis may ask for; all clients must agree on it in strict mode.
    /// From 100 ms to 365 days.
    pub max_ttl: Duration,
    /// Whether and how often held leases are renewed.
    pub renewal: Renewal,
    /// How long acquiring waits for a lock that another holds, from 1 ms to 365 days; `None`: for as long as it takes.
    pub acquire_timeout: Option<Duration>,
    /// The longest pause between two attempts while waiting; a wake-up comes sooner. From 1 ms to 365 days.
    pub retry_interval: Duration,
    /// What a failover may cost.
    pub safety: Safety,
    /// How far apart the data nodes' clocks may be where that cannot be measured, from 1 ms to 365 days. For one
    /// `max_ttl` after a failover without a pause each grant waits for as long.
    pub max_clock_skew: Duration,
    /// Whether a relaxed client may grant where others use strict mode: one lock may then have a strict and a
    /// relaxed holder after a failover.
    pub allow_mixed_safety: bool,
    /// Put before every key.
    pub key_prefix: String,
    /// The name of the holder, for people: `host:pid` unless set.
    pub owner: String,
}

impl LockOptions {
    /// The defaults for these servers: they differ in [`Safety`] only.
    pub fn new(locking: &Locking) -> Self {
        Self {
            safety: default_safety(locking),
            ..Self::default()
        }
    }
}

impl Default for LockOptions {
    /// The defaults without Sentinel: leases of 30 s, renewed every 10 s, [`Safety::Relaxed`].
    fn default() -> Self {
        Self {
            ttl: DEFAULT_TTL,
            max_ttl: DEFAULT_TTL,
            renewal: Renewal::Every(default_renewal(DEFAULT_TTL)),
            acquire_timeout: None,
            retry_interval: DEFAULT_RETRY_INTERVAL,
            safety: Safety::Relaxed,
            max_clock_skew: DEFAULT_MAX_CLOCK_SKEW,
            allow_mixed_safety: false,
            key_prefix: String::new(),
            owner: default_owner(),
        }
    }
}

/// Whether and how often held leases are renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// Renew this long after the last renewal, from 1 ms to less than the TTL; a third of the TTL leaves room for two more attempts.
    Every(Duration),
    /// Leases end when their TTL has passed, unless renewed by hand.
    Off,
}

/// What a failover may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safety {
    /// One holder also across failovers: new grants pause after a failover, and need a majority of the data nodes.
    Strict,
    /// Locks are granted as soon as there is a master; a failover that loses writes can lead to two holders.
    Relaxed,
}

impl Safety {
    /// As `LOCK_SAFETY` is written.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Relaxed => "relaxed",
        }
    }
}

pub(crate) fn default_renewal(ttl: Duration) -> Duration {
    ttl / 3
}

pub(crate) fn default_safety(locking: &Locking) -> Safety {
    match locking {
        Locking::Enabled(Topology::Sentinel(_)) => Safety::Strict,
        _ => Safety::Relaxed,
    }
}

/// `host:pid`, which tells processes of one machine and machines of one deployment apart.
pub(crate) fn default_owner() -> String {
    format!("{}:{}", host_name(), std::process::id())
}

#[cfg(unix)]
fn host_name() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}

/// Windows sets the variable for every process.
#[cfg(not(unix))]
fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "host".to_owned())
}
