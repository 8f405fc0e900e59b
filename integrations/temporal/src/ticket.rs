//! Locks that span several activities: taken by one, handed on as a ticket, released by another.

use std::sync::Arc;

use leasehold::{Error, Lease, Ticket};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use crate::execution::Execution;
use crate::hold::{self, Ended, Granted};
use crate::locks::ActivityLocks;
use crate::needs_lock::NeedsLock;
use crate::waiting::{self, Attempt};
use crate::{details, error};

/// The activities that take and release a lock for a workflow.
///
/// Register them with the worker. The workflow keeps the [`Ticket`] between its activities:
///
/// 1. [`acquire`](Self::acquire) waits for the lock and gives a ticket.
/// 2. Each activity of the application adopts the ticket with [`ActivityLocks::adopt`] and gives the
///    next one. The ticket before it is void from then on.
/// 3. [`release`](Self::release) takes the last ticket.
///
/// Nobody renews a lease between two activities, so [`NeedsLock::ttl`] must cover the longest time
/// between two of them, retries included. When it was too short, or a failover came in between, the
/// next activity fails with [`LEASE_LOST`](crate::LEASE_LOST), and the workflow begins again with
/// [`acquire`](Self::acquire).
#[derive(Debug, Clone)]
pub struct LockActivities {
    locks: ActivityLocks,
}

impl LockActivities {
    /// Activities that use these locks.
    #[must_use]
    pub fn new(locks: ActivityLocks) -> Self {
        Self { locks }
    }
}

#[activities]
impl LockActivities {
    /// Waits for a lock, with heartbeats, and gives its ticket.
    ///
    /// Give it a heartbeat timeout: without one, a workflow that is cancelled waits on.
    #[activity(name = "leasehold_acquire")]
    pub async fn acquire(
        self: Arc<Self>,
        context: ActivityContext,
        needs: NeedsLock,
    ) -> Result<Ticket, ActivityError> {
        let execution = Execution::of(context.info());
        let (lock, mut terms) = self.locks.lock_inside(&needs, &execution)?;
        // The lease outlives this activity, so its timeout does not bound it.
        terms.ttl = needs.ttl;
        let heartbeat = execution.heartbeat_timeout;
        let lease = waiting::lease(&lock, &terms, heartbeat, &context).await?;
        Ok(lease.into_ticket())
    }

    /// Releases the lock of a ticket. One that is over by itself is not an error.
    #[activity(name = "leasehold_release")]
    pub async fn release(
        self: Arc<Self>,
        _context: ActivityContext,
        ticket: Ticket,
    ) -> Result<(), ActivityError> {
        match self.locks.locker().adopt(&ticket).await {
            Ok(lease) => hold::release(lease).await,
            Err(error) if error::is_over(&error) => {
                tracing::info!(resource = ticket.resource(), %error, "nothing to release");
            }
            Err(error) => return Err(error::not_leased(ticket.resource(), error)),
        }
        Ok(())
    }
}

impl ActivityLocks {
    /// Runs `body` under the lease of a ticket, and gives the ticket for the next activity.
    ///
    /// An attempt that fails leaves its ticket to the next attempt, in the details of its heartbeat.
    /// So `body` must record no heartbeats with details of its own; without any, it needs no
    /// heartbeat timeout.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run), except that [`LEASE_LOST`](crate::LEASE_LOST) is not retryable: the
    /// ticket is void, and only the workflow can acquire again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `body` and releases the lease in the background.
    pub async fn adopt<F, T>(
        &self,
        context: &ActivityContext,
        ticket: &Ticket,
        body: impl FnOnce(Granted) -> F,
    ) -> Result<(T, Ticket), ActivityError>
    where
        F: Future<Output = Result<T, ActivityError>>,
    {
        let end = Execution::of(context.info()).end();
        let left = details::left_ticket(context.earlier_details());
        let ticket = left.as_ref().unwrap_or(ticket);
        let resource = ticket.resource();
        let lease = self.locker().adopt(ticket).await.map_err(|error| {
            if error::is_over(&error) {
                error::ticket_lost(resource, ticket.fence(), error)
            } else {
                error::not_leased(resource, error)
            }
        })?;
        context.record(details::ticket(&lease.ticket())).await;
        let granted = Granted::by(&lease);
        match hold::run(&lease, end, body(granted)).await {
            Ended::ByItself(Ok(output)) => Ok((output, handed_on(lease).await?)),
            Ended::ByItself(Err(failure)) => {
                keep_for_retry(lease, &failure).await;
                Err(failure)
            }
            Ended::Lost(lost) => Err(error::ticket_lost(resource, Some(granted.fence), lost)),
            Ended::AttemptOver(timeout) => {
                drop(lease.into_ticket());
                Err(error::attempt_over(resource, granted.fence, timeout))
            }
        }
    }
}

/// The ticket of a lease that has its whole length before it.
async fn handed_on(lease: Lease) -> Result<Ticket, ActivityError> {
    match lease.renew().await {
        Err(lost @ Error::Lost { .. }) => {
            let resource = lease.resource().to_string();
            return Err(error::ticket_lost(&resource, Some(lease.fence()), lost));
        }
        // It runs on as before.
        Err(error) => tracing::warn!(resource = %lease.resource(), %error, "not renewed"),
        Ok(()) => {}
    }
    Ok(lease.into_ticket())
}

/// Leaves the lease to the next attempt, if there will be one.
async fn keep_for_retry(lease: Lease, failure: &ActivityError) {
    match failure {
        ActivityError::Application(failure) if !failure.is_non_retryable() => {
            drop(lease.into_ticket());
        }
        _ => hold::release(lease).await,
    }
}
