//! One renewal of one lease: send, judge the reply, and prolong, retry or lose.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::cleanup::CleanupWorker;
use crate::backend::Backend;
use crate::backend::ops::RenewOutcome;
use crate::clock::{Clock, Moment};
use crate::error::{Error, GateClosed, LostReason};
use crate::lifecycle::lease_state::{LeaseState, Purpose};
use crate::telemetry::{self, Ended};
use crate::transport::server_errors::{Failure, Outcome};
use crate::unavailable::{Cause, Unavailable};

/// How a renewal went.
#[derive(Debug)]
pub(crate) enum Renewed {
    /// The lease goes on.
    Confirmed,
    /// Nothing is decided: try again while the lease is valid.
    TryAgain(Error),
    /// The lease is over.
    Over(LostReason),
}

impl Ended for Renewed {
    fn word(&self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::TryAgain(_) => "unconfirmed",
            Self::Over(_) => "over",
        }
    }

    fn error(&self) -> Option<&Error> {
        match self {
            Self::TryAgain(error) => Some(error),
            Self::Confirmed | Self::Over(_) => None,
        }
    }
}

/// Renews once.
///
/// Cancel safe: a renewal that is carried out unseen prolongs the key and not the lease.
pub(crate) async fn renew(
    backend: &Backend,
    cleanup: &CleanupWorker,
    clock: Clock,
    held: &Arc<LeaseState>,
    purpose: Purpose,
) -> Renewed {
    let attempt = pin!(attempt(backend, cleanup, clock, held, purpose));
    telemetry::renewing(held.about(), attempt).await
}

async fn attempt(
    backend: &Backend,
    cleanup: &CleanupWorker,
    clock: Clock,
    held: &Arc<LeaseState>,
    purpose: Purpose,
) -> Renewed {
    let sent_at = clock.now();
    let mut request = held.request.clone();
    if purpose == Purpose::Verify {
        request.ttl = held.remaining().max(Duration::from_millis(1));
    }
    // An attempt that hangs must leave time for another one.
    let limit = held.request.ttl / 3;
    let watched = Arc::downgrade(held);
    let is_over = move || watched.upgrade().is_none_or(|held| held.is_over());
    let renewing = backend.renew(&request, held.fence, is_over);
    let answer = timeout(limit, renewing).await;
    let renewal = match answer {
        Ok(Ok(renewal)) => renewal,
        Ok(Err(failure)) => return failed(held, failure),
        Err(_) => {
            let unavailable = Unavailable::new(Cause::Timeout { after: limit });
            return failed(held, Failure::unknown(unavailable));
        }
    };
    let outcome = judge(cleanup, held, purpose, sent_at, renewal);
    match &outcome {
        Renewed::Over(reason) => held.lose(reason),
        Renewed::TryAgain(error) => held.renewal_failed(format!("{error:?}")),
        Renewed::Confirmed => {}
    }
    outcome
}

/// What a reply means for the lease.
pub(super) fn judge(
    cleanup: &CleanupWorker,
    held: &Arc<LeaseState>,
    purpose: Purpose,
    sent_at: Moment,
    renewal: RenewOutcome,
) -> Renewed {
    match renewal {
        RenewOutcome::Renewed {
            data_set,
            is_gate_closed: true,
            ..
        } if !held.is_over() && held.may_be_adopted_before(&data_set) => {
            Renewed::TryAgain(Error::GateClosed(GateClosed {
                resource: held.resource.clone(),
                remaining: None,
                epoch: data_set.epoch,
            }))
        }
        RenewOutcome::Renewed { data_set, .. } if held.confirm(purpose, sent_at, &data_set) => {
            Renewed::Confirmed
        }
        RenewOutcome::Renewed { reasserted, .. }
        | RenewOutcome::NotReplicated { reasserted, .. }
            if held.is_over() =>
        {
            // It came after the end and may have kept the key of a lost lease, or re-created that
            // of a released one. A key that was kept is the release's to delete, and to report.
            if reasserted || !held.is_released() {
                cleanup.take_back(&held.request, held.request.ttl);
            }
            Renewed::Over(held.reason())
        }
        RenewOutcome::Renewed { .. } => {
            cleanup.take_back(&held.request, held.request.ttl);
            Renewed::Over(held.expiry())
        }
        RenewOutcome::Missing { data_set } => Renewed::Over(held.missing_on(&data_set)),
        RenewOutcome::Stolen { by } => Renewed::Over(LostReason::Stolen { by }),
        RenewOutcome::NotReplicated { confirmed, .. } => Renewed::TryAgain(Error::NotReplicated {
            resource: held.resource.clone(),
            acknowledged: confirmed.acknowledged,
            needed: confirmed.needed,
            data_nodes: confirmed.data_nodes,
        }),
    }
}

/// No reply, or one that says nothing of the lease: it is tried again.
fn failed(held: &LeaseState, failure: Failure) -> Renewed {
    let error = unanswered(held, failure);
    held.renewal_failed(format!("{error:?}"));
    Renewed::TryAgain(error)
}

fn unanswered(held: &LeaseState, failure: Failure) -> Error {
    match failure.outcome {
        Outcome::NotApplied => Error::Unavailable(failure.unavailable),
        Outcome::Unknown => Error::Ambiguous {
            resource: held.resource.clone(),
            operation: "renewed",
            cause: failure.unavailable,
        },
    }
}
