//! What can go wrong: what happened, to which resource, and what to do now.

use std::convert::Infallible;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use leasehold_config::ConfigError;

use crate::resource::{InvalidResource, Resource};
use crate::unavailable::Unavailable;

mod loss;
mod refusals;

pub use loss::LostReason;
pub use refusals::{GateClosed, Held, TtlBound};

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
