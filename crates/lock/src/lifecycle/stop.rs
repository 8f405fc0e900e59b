//! Why a locker does not work any more: closed, its runtime ended, or this is a forked process.

use std::sync::Arc;

use tokio::sync::watch;

use crate::error::{Error, LostReason};

/// Shared by a locker, its leases and its tasks; clones are the same signal.
#[derive(Debug, Clone)]
pub(crate) struct StopSignal {
    reason: Arc<watch::Sender<Option<StopReason>>>,
    /// The process whose threads run the tasks.
    process: u32,
}

/// Why a locker stopped. The first reason stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// [`Locker::close`](crate::Locker::close) was called.
    Closed,
    /// The runtime that ran the tasks ended.
    RuntimeEnded,
    /// This process was forked from the one that runs the tasks.
    Forked,
}

impl StopReason {
    pub(crate) fn error(self) -> Error {
        match self {
            Self::Closed => Error::Closed,
            Self::RuntimeEnded => Error::RuntimeEnded,
            Self::Forked => Error::Forked,
        }
    }

    pub(crate) fn loss(self) -> LostReason {
        match self {
            Self::Closed => LostReason::Closed,
            Self::RuntimeEnded => LostReason::RuntimeEnded,
            Self::Forked => LostReason::Forked,
        }
    }
}

impl StopSignal {
    pub(crate) fn new() -> Self {
        Self {
            reason: Arc::new(watch::Sender::new(None)),
            process: std::process::id(),
        }
    }

    pub(crate) fn stop(&self, reason: StopReason) {
        self.reason.send_if_modified(|current| {
            let is_first = current.is_none();
            current.get_or_insert(reason);
            is_first
        });
    }

    pub(crate) fn reason(&self) -> Option<StopReason> {
        if self.is_forked() {
            return Some(StopReason::Forked);
        }
        *self.reason.borrow()
    }

    /// Threads do not survive a fork: the tasks run in the parent alone, which owns the leases.
    pub(crate) fn is_forked(&self) -> bool {
        std::process::id() != self.process
    }

    /// Refuses what a stopped locker cannot do.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.reason().map_or(Ok(()), |reason| Err(reason.error()))
    }

    /// As [`StopSignal::check`], for what a closed locker still does: giving back what it holds.
    pub(crate) fn check_tasks(&self) -> Result<(), Error> {
        match self.reason() {
            None | Some(StopReason::Closed) => Ok(()),
            Some(reason) => Err(reason.error()),
        }
    }

    /// Waits for the stop.
    ///
    /// Cancel safe.
    pub(crate) async fn stopped(&self) -> StopReason {
        let mut reasons = self.reason.subscribe();
        let reason = reasons.wait_for(Option::is_some).await;
        // The sender lives as long as `self`.
        reason.map_or(StopReason::Closed, |reason| {
            reason.unwrap_or(StopReason::Closed)
        })
    }
}
