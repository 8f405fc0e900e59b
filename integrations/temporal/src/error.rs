//! What an activity fails with when its lock is not granted, or is lost.

use std::time::Duration;

use leasehold::{Error, Fence, LostReason};
use serde::{Deserialize, Serialize};
use temporalio_common::error::{ActivityExecutionError, ApplicationFailure, IncomingError};
use temporalio_sdk::activities::ActivityError;

use crate::name::NameError;

/// The failure type of an activity that was stopped because its lease was lost.
pub const LEASE_LOST: &str = "LeaseLost";
/// The failure type of an activity that did not begin, because its lock was not granted in time.
pub const NOT_LEASED: &str = "NotLeased";
/// The failure type of an activity whose lock cannot be granted until something is changed by hand.
pub const LOCK_CONFIGURATION: &str = "LockConfiguration";
/// The failure type of an activity that was stopped because its attempt's time was over.
pub const ATTEMPT_OVER: &str = "AttemptOver";

/// The soonest retry of an activity whose lock is held: its holder may just be about to renew.
const SHORTEST_DELAY: Duration = Duration::from_millis(200);

/// Why an activity cannot be given the lock that it needs, found when the worker starts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidNeed {
    /// The name is no template.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The number of holders is out of bounds.
    #[error(transparent)]
    Lock(Error),
}

/// The details of a failure of one of the types above, for the workflow to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockFailure {
    /// The name of the lock.
    pub resource: String,
    /// The fence that the activity had, if it had begun: a greater one has been, or will be,
    /// granted to another.
    #[serde(default)]
    pub fence: Option<i64>,
    /// What happened.
    pub problem: String,
}

/// Whether an activity failed because its lease was lost: what a workflow that holds a ticket asks,
/// to acquire again.
#[must_use]
pub fn lease_was_lost(error: &ActivityExecutionError) -> bool {
    matches!(error.reason(), Some(IncomingError::Application(failure))
        if failure.type_name() == Some(LEASE_LOST))
}

/// The activity was stopped under its lease.
pub(crate) fn lost(resource: &str, fence: Fence, error: Error) -> ActivityError {
    let details = details(resource, Some(fence), &error);
    let failure = ApplicationFailure::builder(error);
    failure
        .type_name(LEASE_LOST.to_owned())
        .details(details)
        .build()
        .into()
}

/// The lease of a ticket is over: another attempt with this ticket cannot have it either.
pub(crate) fn ticket_lost(resource: &str, fence: Option<Fence>, error: Error) -> ActivityError {
    let details = details(resource, fence, &error);
    let failure = ApplicationFailure::builder(error).type_name(LEASE_LOST.to_owned());
    failure.non_retryable(true).details(details).build().into()
}

/// The activity did not begin.
pub(crate) fn not_leased(resource: &str, error: Error) -> ActivityError {
    // A closed locker is a worker that shuts down: another one may run the next attempt.
    let is_lasting = !error.is_retryable() && !matches!(error, Error::Closed);
    if is_lasting {
        return configuration(resource, error);
    }
    let details = details(resource, None, &error);
    let delay = time_left(&error).map(|left| left.max(SHORTEST_DELAY));
    let failure = ApplicationFailure::builder(error).type_name(NOT_LEASED.to_owned());
    let failure = failure.maybe_next_retry_delay(delay).details(details);
    failure.build().into()
}

/// Nothing will be granted until something is changed by hand.
pub(crate) fn configuration(
    resource: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> ActivityError {
    let details = details(resource, None, &error);
    let failure = ApplicationFailure::builder(error).type_name(LOCK_CONFIGURATION.to_owned());
    failure.non_retryable(true).details(details).build().into()
}

/// The attempt's time was over, so that the server may already have started another.
pub(crate) fn attempt_over(resource: &str, fence: Fence, timeout: Duration) -> ActivityError {
    let problem = format!(
        "the activity was stopped after its attempt's time of {timeout:.1?}, to release `{resource}`"
    );
    let details = LockFailure {
        resource: resource.to_owned(),
        fence: Some(fence.as_i64()),
        problem: problem.clone(),
    };
    let failure = ApplicationFailure::builder(problem).type_name(ATTEMPT_OVER.to_owned());
    failure.details(details).build().into()
}

/// Whether a ticket is worth another attempt: its lease may still run.
pub(crate) fn is_over(error: &Error) -> bool {
    matches!(error, Error::Lost { reason, .. } if *reason != LostReason::Closed)
}

/// How long whatever was in the way will be there, unless it is renewed.
fn time_left(error: &Error) -> Option<Duration> {
    match error {
        Error::Held(held) => held.remaining,
        Error::GateClosed(closed) => closed.remaining,
        Error::TimedOut { because, .. } => time_left(because),
        _ => None,
    }
}

fn details(resource: &str, fence: Option<Fence>, error: &dyn std::error::Error) -> LockFailure {
    LockFailure {
        resource: resource.to_owned(),
        fence: fence.map(Fence::as_i64),
        problem: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use leasehold::{Locker, MemoryStore};

    use super::*;
    use crate::leasing::{Lock, Terms};

    fn failure(error: ActivityError) -> Box<ApplicationFailure> {
        match error {
            ActivityError::Application(failure) => failure,
            other => panic!("an application failure, not {other:?}"),
        }
    }

    #[tokio::test]
    async fn a_held_lock_is_tried_again_when_its_holder_could_be_gone() {
        let locker = Locker::in_memory(&MemoryStore::new());
        let lock = Lock::new(&locker, &Arc::default(), "warehouse", Some(1)).expect("a lock");
        let _held = lock.acquire(&Terms::default()).await.expect("a lease");
        let wait = Some(Duration::from_millis(20));
        let terms = Terms {
            wait,
            ..Terms::default()
        };
        let error = lock.acquire(&terms).await.expect_err("it is held");
        let failure = failure(not_leased("warehouse", error));
        assert_eq!(failure.type_name(), Some(NOT_LEASED));
        assert!(!failure.is_non_retryable());
        let delay = failure.next_retry_delay().expect("a delay");
        assert!(
            delay > Duration::from_secs(20) && delay <= Duration::from_secs(30),
            "{delay:?}"
        );
    }

    #[tokio::test]
    async fn what_must_be_changed_by_hand_is_not_tried_again() {
        let locker = Locker::in_memory(&MemoryStore::new());
        let lock = Lock::new(&locker, &Arc::default(), "warehouse", None).expect("a lock");
        let ttl = Some(Duration::from_secs(3600));
        let terms = Terms {
            ttl,
            ..Terms::default()
        };
        let error = lock.acquire(&terms).await.expect_err("too long");
        let failure = failure(not_leased("warehouse", error));
        assert_eq!(failure.type_name(), Some(LOCK_CONFIGURATION));
        assert!(failure.is_non_retryable());
        assert!(
            failure.to_string().contains("the longest is 30s"),
            "{failure}"
        );
    }

    #[tokio::test]
    async fn another_worker_may_have_what_a_closing_one_refuses() {
        let locker = Locker::in_memory(&MemoryStore::new());
        let lock = Lock::new(&locker, &Arc::default(), "warehouse", None).expect("a lock");
        locker.close(Duration::from_secs(5)).await.expect("closed");
        let error = lock.acquire(&Terms::default()).await.expect_err("closed");
        let failure = failure(not_leased("warehouse", error));
        assert_eq!(failure.type_name(), Some(NOT_LEASED));
        assert!(!failure.is_non_retryable());
    }
}
