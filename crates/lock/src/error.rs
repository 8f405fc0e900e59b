//! What can go wrong: what happened, to which resource, and what to do now.

use std::convert::Infallible;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use leasehold_config::ConfigError;

use crate::resource::{InvalidResource, Resource};
use crate::unavailable::Unavailable;

/// Any failure of the SDK.
///
/// The message says what happened, to which resource and on which node, and what to do about it.
/// [`is_retryable`](Error::is_retryable) is whether the same call may succeed later.
///
/// `Display` is this error alone, and [`source`](std::error::Error::source) what caused it.
/// `Debug`, which `fn main() -> Result<(), Error>` prints, is both in one line.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # use std::time::Duration;
/// # use leasehold::{Error, Locker, MemoryStore};
/// # let locker = Locker::in_memory(&MemoryStore::new());
/// # let _held = locker.try_acquire("report").await;
/// match locker.acquire("report").timeout(Duration::ZERO).await {
///     Ok(lease) => println!("fence {}", lease.fence()),
///     Err(Error::TimedOut { because, .. }) if matches!(*because, Error::Held(_)) => {
///         println!("another worker does it");
///     }
///     Err(error) if error.is_retryable() => eprintln!("later: {error:?}"),
///     Err(error) => eprintln!("{error:?}"),
/// }
/// # }
/// ```
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),

    /// The resource name cannot be locked.
    #[error(transparent)]
    Resource(#[from] InvalidResource),

    /// A lease of this length cannot be granted.
    #[error("a lease of {asked:?} cannot be granted: {bound}")]
    #[non_exhaustive]
    Ttl {
        /// The length that was asked for.
        asked: Duration,
        /// Which bound it breaks.
        bound: TtlBound,
    },

    /// The number of slots is out of bounds.
    #[error("{asked} slots cannot be given out; choose 1 to 1000")]
    #[non_exhaustive]
    SlotLimit {
        /// The number that was asked for.
        asked: usize,
    },

    /// Another client holds the resource.
    #[error("{0}")]
    Held(Held),

    /// The acquire timeout passed before the resource could be leased.
    #[error("`{resource}` was not leased within {timeout:?}")]
    #[non_exhaustive]
    TimedOut {
        /// What was to be leased.
        resource: Resource,
        /// The acquire timeout.
        timeout: Duration,
        /// What prevented the grant at the end.
        #[source]
        because: Box<Error>,
    },

    /// The lease ended without a release by its holder.
    #[error("the lease on `{resource}` is lost: {reason}")]
    Lost {
        /// What was leased.
        resource: Resource,
        /// Why it is over.
        reason: LostReason,
    },

    /// A command was sent and its reply never came: it may or may not have been carried out.
    ///
    /// The caller need not clean up: a grant that may have happened is released in the background.
    #[error("whether `{resource}` was {operation} is unknown")]
    #[non_exhaustive]
    Ambiguous {
        /// What the command was about.
        resource: Resource,
        /// `leased`, `renewed` or `released`.
        operation: &'static str,
        /// Why no reply came.
        #[source]
        cause: Unavailable,
    },

    /// Strict mode grants nothing new until every lease from before the failover has ended.
    #[error("{0}")]
    GateClosed(GateClosed),

    /// Strict mode could not confirm the write on a majority of the data nodes, and released it.
    #[error(
        "`{resource}` is not leased: {acknowledged} of {data_nodes} data nodes have the write, and \
         strict mode needs {needed}; bring the replicas back, or set LOCK_SAFETY=relaxed and do \
         without one holder across failovers"
    )]
    #[non_exhaustive]
    NotReplicated {
        /// What was to be leased.
        resource: Resource,
        /// Data nodes that had the write in time, the master included.
        acknowledged: usize,
        /// A majority of the data nodes.
        needed: usize,
        /// Data nodes that Sentinel knows, the master included.
        data_nodes: usize,
    },

    /// Too few of the independent masters granted the lease; what was granted is released.
    #[error("`{resource}` is not leased: {granted} of {members} granted: {nodes}")]
    #[non_exhaustive]
    NoQuorum {
        /// What was to be leased.
        resource: Resource,
        /// Members that granted it.
        granted: usize,
        /// All members.
        members: usize,
        /// Each member that did not grant it, and why.
        nodes: String,
    },

    /// Redis or its Sentinels could not be used.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),

    /// This version cannot do what is configured.
    #[error("{feature} is not supported by this version; {instead}")]
    #[non_exhaustive]
    Unsupported {
        /// What is configured.
        feature: String,
        /// What to do instead.
        instead: &'static str,
    },

    /// The locker was closed.
    #[error("the locker is closed; connect a new one")]
    Closed,

    /// The tokio runtime that the locker was connected in has ended, and with it the tasks that
    /// renew and release.
    #[error(
        "the tokio runtime that this locker was connected in has ended; connect a locker in the \
         runtime that uses it"
    )]
    RuntimeEnded,

    /// This process was forked from the one that connected the locker.
    #[error("this locker belongs to the parent process; connect another after the fork")]
    Forked,

    /// A blocking call was made in async code, which it would hold up.
    #[error(
        "a blocking locker was used in async code; use `leasehold::Locker` there, or \
         `tokio::task::spawn_blocking`"
    )]
    BlockingInAsync,

    /// The blocking interface could not start its thread.
    #[error("the runtime of the blocking interface could not be started")]
    Runtime(#[source] Arc<io::Error>),

    /// The operating system gave no random bytes for a token.
    #[error("the operating system gave no random bytes for a token")]
    Random(#[source] Arc<io::Error>),

    /// The ticket comes from another version of this library.
    #[error("a ticket of version {found} cannot be read: this library knows version {known}")]
    #[non_exhaustive]
    TicketVersion {
        /// The version of the ticket.
        found: u32,
        /// The version that this library writes and reads.
        known: u32,
    },
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut source = self.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl Error {
    pub(crate) fn random(error: getrandom::Error) -> Self {
        let error = match error.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::other(error.to_string()),
        };
        Self::Random(Arc::new(error))
    }

    /// Whether the same call may succeed later without anything being changed by hand.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Config(_)
            | Self::Resource(_)
            | Self::SlotLimit { .. }
            | Self::Runtime(_)
            | Self::Ttl { .. }
            | Self::Closed
            | Self::RuntimeEnded
            | Self::TicketVersion { .. }
            | Self::Forked
            | Self::BlockingInAsync
            | Self::Unsupported { .. } => false,
            Self::Held(_)
            | Self::TimedOut { .. }
            | Self::Lost { .. }
            | Self::GateClosed(_)
            | Self::NotReplicated { .. }
            | Self::NoQuorum { .. }
            | Self::Random(_) => true,
            Self::Ambiguous { cause, .. } | Self::Unavailable(cause) => cause.is_retryable(),
        }
    }

    /// The infrastructure failure behind this error, if one is.
    #[must_use]
    pub fn unavailable(&self) -> Option<&Unavailable> {
        match self {
            Self::Ambiguous { cause, .. } | Self::Unavailable(cause) => Some(cause),
            Self::TimedOut { because, .. } => because.unavailable(),
            _ => None,
        }
    }
}

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
