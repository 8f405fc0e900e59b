//! Waiting for a lease inside an activity: heard by the server, and given up when it is cancelled.

use std::pin::pin;
use std::time::Duration;

use leasehold::Lease;
use temporalio_common::data_converters::RawValue;
use temporalio_common::protos::temporal::api::common::v1::Payload;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::details;
use crate::error::not_leased;
use crate::leasing::{Before, Lock, Obstacle, Terms};
use crate::line::Turn;

/// A wait shorter than this is not worth a message to the server.
const FIRST_REPORT: Duration = Duration::from_secs(1);
/// Between two reports of an activity that has no heartbeat timeout.
const UNHURRIED: Duration = Duration::from_secs(10);

/// The part of an activity's context that a wait needs.
pub(crate) trait Attempt: Sync {
    /// Completes when the activity is cancelled, or its worker shuts down.
    fn cancelled(&self) -> impl Future<Output = ()> + Send;
    /// Records a heartbeat with these details.
    fn record(&self, details: RawValue) -> impl Future<Output = ()> + Send;
    /// The details that an earlier attempt recorded.
    fn earlier_details(&self) -> &[Payload];
}

impl Attempt for ActivityContext {
    async fn cancelled(&self) {
        ActivityContext::cancelled(self).await;
    }

    async fn record(&self, details: RawValue) {
        if let Err(error) = self.record_heartbeat(details).await {
            let activity = &self.info().activity_type;
            tracing::warn!(activity, %error, "a heartbeat was not recorded");
        }
    }

    fn earlier_details(&self) -> &[Payload] {
        self.heartbeat_details().raw()
    }
}

/// Waits for a lease.
pub(crate) async fn lease(
    lock: &Lock,
    terms: &Terms,
    heartbeat_timeout: Option<Duration>,
    attempt: &impl Attempt,
) -> Result<Lease, ActivityError> {
    let mut has_reported = false;
    let granted = {
        let turn = lock.enter_line();
        let acquiring = pin!(lock.acquire(terms));
        let reports = pin!(report(
            lock,
            &turn,
            heartbeat_timeout,
            attempt,
            &mut has_reported
        ));
        tokio::select! {
            biased;
            () = attempt.cancelled() => return Err(ActivityError::cancelled()),
            granted = acquiring => granted,
            () = reports => unreachable!("the reports do not end"),
        }
    };
    let lease = granted.map_err(|error| not_leased(lock.name(), error))?;
    if has_reported {
        attempt
            .record(details::restored(attempt.earlier_details()))
            .await;
    }
    Ok(lease)
}

/// Records heartbeats without end.
async fn report(
    lock: &Lock,
    turn: &Turn,
    heartbeat_timeout: Option<Duration>,
    attempt: &impl Attempt,
    has_reported: &mut bool,
) {
    let every = heartbeat_timeout.map_or(UNHURRIED, |timeout| timeout / 3);
    let every = every.max(Duration::from_millis(10));
    let mut ticks = interval_at(Instant::now() + every.min(FIRST_REPORT), every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let message = describe(lock, turn).await;
        *has_reported = true;
        attempt.record(details::waiting(&message)).await;
    }
}

/// What is waited for, who holds it, and how many are before.
async fn describe(lock: &Lock, turn: &Turn) -> String {
    let mut message = format!("waiting for the lock `{}`", lock.name());
    match lock.obstacle(turn).await {
        Obstacle::Other(error) => message += &format!(": {error}"),
        Obstacle::Held { owners, before } => {
            if !owners.is_empty() {
                message += ", held by ";
                message += &owners.join(" and ");
            }
            match before {
                None => {}
                Some(Before::Exactly(0)) => message += ", nobody before us",
                Some(Before::Exactly(count)) => message += &format!(", {count} before us"),
                Some(Before::AtLeast(count)) => message += &format!(", at least {count} before us"),
            }
        }
    }
    message
}

#[cfg(test)]
#[path = "waiting_tests.rs"]
mod tests;
