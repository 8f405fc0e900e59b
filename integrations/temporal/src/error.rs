//! Why an activity gave no result.

use std::time::Duration;

use leasehold::Error;

/// Why an activity gave no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActivityError<E> {
    /// The activity ran under its lease and failed by itself.
    #[error(transparent)]
    Activity(E),

    /// It did not begin: no lease was to be had.
    #[error("the activity did not begin: {0}")]
    NotLeased(#[source] Error),

    /// It was dropped where it stood, because its lease was lost: another execution may have begun.
    #[error("the activity was stopped: {0}")]
    Lost(#[source] Error),

    /// It was dropped where it stood, because its start-to-close timeout was over.
    #[error("the activity was stopped after its start-to-close timeout of {0:?}")]
    TimedOut(Duration),

    /// It was cancelled while it waited for its lease.
    #[error("the activity was cancelled while it waited for its lease")]
    Cancelled,
}

impl<E> ActivityError<E> {
    /// Whether another attempt may succeed with nothing changed by hand: what Temporal calls
    /// retryable. `None` where only the activity itself can tell.
    pub fn is_retryable(&self) -> Option<bool> {
        match self {
            Self::Activity(_) => None,
            Self::NotLeased(error) | Self::Lost(error) => Some(error.is_retryable()),
            Self::TimedOut(_) => Some(true),
            Self::Cancelled => Some(false),
        }
    }
}
