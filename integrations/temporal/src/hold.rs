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

#[cfg(test)]
mod tests {
    use leasehold::{Locker, MemoryStore};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    async fn lease(locker: &Locker) -> Lease {
        locker.acquire("warehouse").await.expect("a lease")
    }

    async fn is_free(locker: &Locker) -> bool {
        locker.try_acquire("warehouse").await.is_ok()
    }

    fn type_name(ended: Result<(), ActivityError>) -> Option<String> {
        match ended {
            Err(ActivityError::Application(failure)) => failure.type_name().map(str::to_owned),
            other => panic!("an application failure, not {other:?}"),
        }
    }

    #[tokio::test]
    async fn the_body_has_the_fence_and_the_lock_is_free_when_it_has_ended() {
        let locker = Locker::in_memory(&MemoryStore::new());
        let lease = lease(&locker).await;
        let fence = lease.fence();
        let body = async {
            assert_eq!(granted().map(|granted| granted.fence), Some(fence));
            assert!(!is_free(&locker).await);
            Ok(7)
        };
        assert!(matches!(run_and_release(lease, None, body).await, Ok(7)));
        assert!(is_free(&locker).await);
        assert_eq!(granted(), None);
    }

    #[tokio::test]
    async fn a_body_whose_lease_is_lost_is_dropped() {
        let locker = Locker::in_memory(&MemoryStore::new());
        let lease = lease(&locker).await;
        let closing = locker.clone().close(LONG);
        let ended = tokio::join!(run_and_release(lease, None, pending()), closing).0;
        assert_eq!(type_name(ended).as_deref(), Some(error::LEASE_LOST));
    }

    #[tokio::test]
    async fn a_body_is_dropped_at_the_end_of_its_attempt_and_the_lock_is_free() {
        let locker = Locker::in_memory(&MemoryStore::new());
        let lease = lease(&locker).await;
        let timeout = Duration::from_millis(20);
        let end = Some((Instant::now() + timeout, timeout));
        let ended = run_and_release(lease, end, pending()).await;
        assert_eq!(type_name(ended).as_deref(), Some(error::ATTEMPT_OVER));
        assert!(is_free(&locker).await);
    }

    #[tokio::test]
    async fn a_failure_of_the_body_is_its_own_and_the_lock_is_free() {
        let locker = Locker::in_memory(&MemoryStore::new());
        let lease = lease(&locker).await;
        let body = async { Err::<(), _>(ActivityError::cancelled()) };
        let ended = run_and_release(lease, None, body).await;
        assert!(matches!(ended, Err(ActivityError::Cancelled { .. })));
        assert!(is_free(&locker).await);
    }
}
