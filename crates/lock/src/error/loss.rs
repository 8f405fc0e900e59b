//! Why a lease is lost.

use std::fmt;

/// Why a lease ended without a release by its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LostReason {
    /// Its deadline passed before a renewal was confirmed.
    Expired {
        /// What kept the last renewal from being confirmed, if one was tried.
        because: Option<String>,
    },
    /// The key is gone although it had time left: deleted, evicted, or flushed.
    Deleted,
    /// The key is gone for an unknown reason: a lease that was to be taken over had expired, or was
    /// released or deleted.
    Missing,
    /// The key belongs to someone else.
    Stolen {
        /// Who holds it now.
        by: String,
    },
    /// The new master does not have the key.
    Failover {
        /// Sentinel's configuration epoch of the new master.
        epoch: u64,
    },
    /// The master restarted and does not have the key any more.
    Restart,
    /// The locker was closed while the lease was held.
    Closed,
    /// The tokio runtime of the locker ended while the lease was held, so it is no longer renewed.
    RuntimeEnded,
    /// This process was forked from the one that holds the lease.
    Forked,
}

impl fmt::Display for LostReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { because: None } => write!(f, "its time ran out"),
            Self::Expired {
                because: Some(because),
            } => {
                write!(
                    f,
                    "its time ran out before a renewal was confirmed ({because})"
                )
            }
            Self::Deleted => write!(
                f,
                "its key was deleted before its time; look for DEL, FLUSHALL, a forced release, or \
                 a maxmemory-policy other than noeviction"
            ),
            Self::Missing => write!(f, "its key is gone: it expired, or was released or deleted"),
            Self::Stolen { by } => write!(f, "its key now belongs to {by}"),
            Self::Failover { epoch } => {
                write!(f, "the new master (epoch {epoch}) does not have its key")
            }
            Self::Restart => write!(
                f,
                "its master restarted without its data; keep an append-only file (appendonly yes)"
            ),
            Self::Closed => write!(f, "the locker was closed"),
            Self::RuntimeEnded => {
                write!(f, "the tokio runtime that renewed it has ended")
            }
            Self::Forked => write!(f, "it belongs to the process that this one was forked from"),
        }
    }
}
