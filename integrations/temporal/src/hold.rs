//! Running an activity's body under a lease.

use std::future::pending;
use std::time::Duration;

use leasehold::{Error, Fence, Lease};
use temporalio_sdk::activities::ActivityError;
use tokio::time::{Instant, sleep_until};

use crate::error;

tokio::task_local! {
    static GRANTED: Granted;
}

/// What an activity is given to work with while it holds its lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Granted {
    /// Pass it to whatever the lock protects: a store that refuses a fence lower than one it has
    /// seen refuses a holder that was paused for longer than its lease. With
    /// [`max_locks`](crate::NeedsLock::max_locks) compare it for each [`slot`](Self::slot).
    pub fence: Fence,
    /// Which of the lock's slots is held, from 0; 0 too where there is only one holder.
    pub slot: usize,
}

impl Granted {
    pub(crate) fn by(lease: &Lease) -> Self {
        Self {
            fence: lease.fence(),
            slot: lease.slot(),
        }
    }
}

/// What the activity that runs in this task was granted by the interceptor; `None` where it needs no
/// lock, and in tasks that the activity spawned.
#[must_use]
pub fn granted() -> Option<Granted> {
    GRANTED.try_with(|granted| *granted).ok()
}

/// How an activity's body ended.
pub(crate) enum Ended<T> {
    /// By itself, well or not, and under its lease to the end.
    ByItself(Result<T, ActivityError>),
    /// It was dropped because the lease was lost.
    Lost(Error),
    /// It was dropped because the attempt's time was over.
    AttemptOver(Duration),
}

/// Runs `body` for as long as the lease is valid and the attempt may last.
pub(crate) async fn run<T>(
    lease: &Lease,
    end: Option<(Instant, Duration)>,
    body: impl Future<Output = Result<T, ActivityError>>,
) -> Ended<T> {
    let body = lease.guard(GRANTED.scope(Granted::by(lease), body));
    tokio::select! {
        biased;
        timeout = over(end) => Ended::AttemptOver(timeout),
        outcome = body => match outcome {
            Ok(result) => Ended::ByItself(result),
            Err(lost) => Ended::Lost(lost),
        },
    }
}

/// Runs `body` as [`run`], and releases the lease before it tells how that ended.
pub(crate) async fn run_and_release<T>(
    lease: Lease,
    end: Option<(Instant, Duration)>,
    body: impl Future<Output = Result<T, ActivityError>>,
) -> Result<T, ActivityError> {
    let (resource, fence) = (lease.resource().to_string(), lease.fence());
    let ended = run(&lease, end, body).await;
    release(lease).await;
    match ended {
        Ended::ByItself(result) => result,
        Ended::Lost(lost) => Err(error::lost(&resource, fence, lost)),
        Ended::AttemptOver(timeout) => Err(error::attempt_over(&resource, fence, timeout)),
    }
}

/// The body's result stands whatever becomes of the release, which goes on in the background.
pub(crate) async fn release(lease: Lease) {
    let resource = lease.resource().clone();
    if let Err(error) = lease.release().await {
        tracing::warn!(%resource, %error, "a release was not confirmed; it goes on in the background");
    }
}

/// Completes at the end of the attempt, with its length.
async fn over(end: Option<(Instant, Duration)>) -> Duration {
    match end {
        Some((at, timeout)) => {
            sleep_until(at).await;
            timeout
        }
        None => pending().await,
    }
}
