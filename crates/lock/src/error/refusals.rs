//! Why a lease is not granted: another client holds it, the gate is closed, or it would be too short or too long.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::resource::Resource;

/// Who holds a resource, as far as the server's reply says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Held {
    /// What is held.
    pub resource: Resource,
    /// Who holds it: the owner that a Leasehold client gave, or the beginning of a foreign token.
    pub owner: Option<String>,
    /// After how long the key expires unless it is renewed; `None` if it never does.
    pub remaining: Option<Duration>,
    /// How many processes were before this one in the queue, when it asked last: at most
    /// `LOCK_RETRY_INTERVAL` ago. `None` if it does not wait, or the store has no queue.
    pub before: Option<u32>,
    /// The key, where it is known which one holds the lock.
    pub(crate) key: Option<Arc<str>>,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is held by ", self.resource)?;
        match &self.owner {
            Some(owner) => write!(f, "{owner}")?,
            None => write!(f, "someone else")?,
        }
        match self.remaining {
            Some(remaining) => write!(f, " for another {remaining:.1?} unless renewed"),
            None => {
                write!(
                    f,
                    " without an expiry, so only its owner or an operator can free it"
                )?;
                match &self.key {
                    Some(key) => write!(f, " (DEL {key})"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// Why strict mode grants nothing new at present.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GateClosed {
    /// What was to be leased.
    pub resource: Resource,
    /// How long the gate stays closed; `None` while it still has to be replicated.
    pub remaining: Option<Duration>,
    /// Sentinel's configuration epoch of this master, 0 without Sentinel.
    pub epoch: u64,
}

impl fmt::Display for GateClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` cannot be leased yet: gate closed ", self.resource)?;
        match self.remaining {
            Some(remaining) => write!(f, "for another {remaining:.1?} ")?,
            None => write!(f, "until a majority of the data nodes has its record ")?,
        }
        if self.epoch == 0 {
            write!(f, "after a start of the master")?;
        } else {
            write!(f, "after the failover to epoch {}", self.epoch)?;
        }
        write!(f, ", so that no earlier lease is still running")
    }
}

/// The bound that an asked lease length breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TtlBound {
    /// Shorter than the least that can be renewed in time.
    #[non_exhaustive]
    TooShort {
        /// The shortest lease.
        least: Duration,
    },
    /// Longer than `LOCK_MAX_TTL`, the longest lease that this locker may ask for.
    #[non_exhaustive]
    TooLong {
        /// The longest lease.
        most: Duration,
    },
    /// Longer than the longest lease that the other clients of this Redis agreed on.
    #[non_exhaustive]
    AboveShared {
        /// The longest lease recorded in Redis.
        most: Duration,
    },
}

impl fmt::Display for TtlBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { least } => write!(f, "the shortest is {least:?}"),
            Self::TooLong { most } => write!(
                f,
                "the longest is {most:?}; ask for less, or raise LOCK_MAX_TTL for every client of \
                 this Redis"
            ),
            Self::AboveShared { most } => write!(
                f,
                "the clients of this Redis agreed on at most {most:?}; give all of them the same \
                 LOCK_MAX_TTL"
            ),
        }
    }
}
