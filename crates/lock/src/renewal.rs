//! One renewal of one lease: send, judge the reply, and prolong, retry or lose.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::backend::{Backend, Renewing};
use crate::clock::Clock;
use crate::error::{Error, GateClosed, LostReason};
use crate::held::Held;
use crate::reaper::Reaper;
use crate::redis::classify::{Failure, Outcome};
use crate::telemetry;
use crate::unavailable::{Cause, Unavailable};

/// What a renewal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A whole TTL from now on.
    Prolong,
    /// Not one moment more, only the certainty that the key is there: after a failover, for a lease
    /// that is not renewed.
    Verify,
}

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

/// Renews once.
///
/// Cancel safe: a renewal that is carried out unseen prolongs the key and not the lease.
pub(crate) async fn renew(
    backend: &Backend,
    reaper: &Reaper,
    clock: Clock,
    held: &Arc<Held>,
    purpose: Purpose,
) -> Renewed {
    let attempt = pin!(attempt(backend, reaper, clock, held, purpose));
    telemetry::renewing(held, attempt).await
}

async fn attempt(
    backend: &Backend,
    reaper: &Reaper,
    clock: Clock,
    held: &Arc<Held>,
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
    let outcome = match answer {
        Ok(Ok(Renewing::Renewed {
            data_set,
            is_gate_closed: true,
            ..
        })) if !held.is_over() && held.may_be_adopted_before(&data_set) => {
            Renewed::TryAgain(Error::GateClosed(GateClosed {
                resource: held.resource.clone(),
                remaining: None,
                epoch: data_set.epoch,
            }))
        }
        Ok(Ok(Renewing::Renewed { data_set, .. })) if held.confirm(purpose, sent_at, &data_set) => {
            return Renewed::Confirmed;
        }
        Ok(Ok(
            Renewing::Renewed { reasserted, .. } | Renewing::NotReplicated { reasserted, .. },
        )) if held.is_over() => {
            // It came after the end and may have kept the key of a lost lease, or re-created that
            // of a released one. A key that was kept is the release's to delete, and to report.
            if reasserted || !held.is_released() {
                reaper.take_back(&held.request, held.request.ttl);
            }
            Renewed::Over(held.reason())
        }
        Ok(Ok(Renewing::Renewed { .. })) => {
            reaper.take_back(&held.request, held.request.ttl);
            Renewed::Over(held.expiry())
        }
        Ok(Ok(Renewing::Missing { data_set })) => Renewed::Over(held.missing_on(&data_set)),
        Ok(Ok(Renewing::Stolen { by })) => Renewed::Over(LostReason::Stolen { by }),
        Ok(Ok(Renewing::NotReplicated { confirmed, .. })) => {
            Renewed::TryAgain(Error::NotReplicated {
                resource: held.resource.clone(),
                acknowledged: confirmed.acknowledged,
                needed: confirmed.needed,
                data_nodes: confirmed.data_nodes,
            })
        }
        Ok(Err(failure)) => Renewed::TryAgain(unanswered(held, failure)),
        Err(_) => {
            let unavailable = Unavailable::new(Cause::Timeout { after: limit });
            Renewed::TryAgain(unanswered(held, Failure::unknown(unavailable)))
        }
    };
    match &outcome {
        Renewed::Over(reason) => held.lose(reason),
        Renewed::TryAgain(error) => held.hindered(error.to_string()),
        Renewed::Confirmed => {}
    }
    outcome
}

fn unanswered(held: &Held, failure: Failure) -> Error {
    match failure.outcome {
        Outcome::NotApplied => Error::Unavailable(failure.unavailable),
        Outcome::Unknown => Error::Ambiguous {
            resource: held.resource.clone(),
            operation: "renewed",
            cause: failure.unavailable,
        },
    }
}
