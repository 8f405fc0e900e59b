//! What a locker and its leases share: the tasks behind them, and how a lease is renewed and given
//! back.

use std::sync::{Arc, Weak};
use std::time::Duration;

use leasehold_config::LockOptions;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::backend::Backend;
use crate::backend::ops::ReleaseOutcome;
use crate::clock::{Clock, later};
use crate::error::{Error, LostReason};
use crate::lifecycle::cleanup::{AtEnd, CleanupWorker};
use crate::lifecycle::last_release::LastRelease;
use crate::lifecycle::lease_state::LeaseState;
use crate::lifecycle::lease_state::Purpose;
use crate::lifecycle::renew::{self, Renewed};
use crate::lifecycle::scheduler::LeaseScheduler;
use crate::lifecycle::stop::{StopReason, StopSignal};
use crate::lifecycle::wait_queue::Waiting;
use crate::master::state::State;
use crate::resource::Resource;
use crate::telemetry::Ended;
use crate::transport::server_errors::{Failure, Outcome};

/// Between attempts while nothing but a moment's patience is needed.
pub(crate) const SHORT_PAUSE: Duration = Duration::from_millis(50);

pub(crate) struct Core {
    pub(crate) options: LockOptions,
    pub(crate) backend: Arc<Backend>,
    pub(crate) cleanup: CleanupWorker,
    pub(crate) scheduler: LeaseScheduler,
    pub(crate) waiting: Arc<Waiting>,
    pub(crate) clock: Clock,
    /// How long one operation may go unanswered before its caller is told.
    pub(crate) operation_timeout: Duration,
    pub(crate) stop: StopSignal,
}

impl Core {
    pub(crate) fn start(
        backend: Backend,
        waiting: Arc<Waiting>,
        options: LockOptions,
        clock: Clock,
        operation_timeout: Duration,
        last_release: Option<LastRelease>,
    ) -> Arc<Self> {
        let backend = Arc::new(backend);
        let stop = StopSignal::new();
        Arc::new_cyclic(|this: &Weak<Self>| {
            let this = this.clone();
            let at_end = AtEnd {
                last_release: last_release.map(Arc::new),
                limit: operation_timeout,
                stop: stop.clone(),
                lose_leases: Box::new(move || {
                    if let Some(core) = this.upgrade() {
                        core.scheduler.lose_all(&LostReason::RuntimeEnded);
                    }
                }),
            };
            let cleanup = CleanupWorker::start(backend.clone(), waiting.clone(), at_end);
            let scheduler =
                LeaseScheduler::start(backend.clone(), cleanup.clone(), clock, stop.clone());
            Self {
                options,
                backend,
                cleanup,
                scheduler,
                waiting,
                clock,
                operation_timeout,
                stop,
            }
        })
    }

    pub(crate) async fn renew(&self, held: &Arc<LeaseState>, purpose: Purpose) -> Renewed {
        if let Err(error) = self.stop.check_tasks() {
            return Renewed::TryAgain(error);
        }
        let renewed = renew::renew(&self.backend, &self.cleanup, self.clock, held, purpose).await;
        if matches!(renewed, Renewed::Over(_)) {
            self.scheduler.forget(held);
        }
        renewed
    }

    /// Ends a lease on this side: no more renewals, not valid any more.
    pub(crate) fn end(&self, held: &LeaseState) {
        held.begin_release();
        self.scheduler.forget(held);
    }

    /// Releases, again and again within the patience for one operation.
    pub(crate) async fn release(&self, held: &LeaseState) -> Result<ReleaseOutcome, Error> {
        self.stop.check_tasks()?;
        let request = &held.request;
        let mut may_be_released = false;
        let until = later(Instant::now(), self.operation_timeout);
        let mut topology = self.backend.topology();
        loop {
            if let Some(topology) = &mut topology {
                topology.mark_unchanged();
            }
            let failure = match self.backend.release(request).await {
                Ok(releasing) => {
                    if !self.backend.store_notifies_waiters(&request.keys) {
                        self.waiting.released(&request.keys);
                    }
                    return Ok(match releasing {
                        // It was the attempt whose reply was lost.
                        ReleaseOutcome::Missing { data_set }
                            if may_be_released && held.must_be_kept_on(&data_set) =>
                        {
                            ReleaseOutcome::Released
                        }
                        releasing => releasing,
                    });
                }
                Err(failure) => failure,
            };
            may_be_released |= failure.outcome == Outcome::Unknown;
            self.stop.check_tasks()?;
            if Instant::now() >= until || !failure.unavailable.is_retryable() {
                return Err(unanswered(&held.resource, "released", failure));
            }
            tokio::select! {
                () = sleep(SHORT_PAUSE) => {}
                () = new_master(&mut topology) => {}
            }
        }
    }

    /// Refuses everything new, ends what is held, and gives it back.
    pub(crate) async fn close(&self) {
        self.stop.stop(StopReason::Closed);
        self.scheduler.lose_all(&LostReason::Closed);
        self.cleanup.leave(&self.waiting.take_unclaimed());
        self.cleanup.finished().await;
    }
}

impl Ended for Result<ReleaseOutcome, Error> {
    fn word(&self) -> &'static str {
        match self {
            Ok(ReleaseOutcome::Released) => "released",
            Ok(ReleaseOutcome::Missing { .. }) => "expired",
            Ok(ReleaseOutcome::Stolen { .. }) => "held_by_another",
            Err(_) => "failed",
        }
    }

    fn error(&self) -> Option<&Error> {
        self.as_ref().err()
    }
}

/// Waits for a link that was not there before.
///
/// Cancel safe.
pub(crate) async fn new_master(topology: &mut Option<watch::Receiver<State>>) {
    let Some(topology) = topology else {
        return std::future::pending::<()>().await;
    };
    while topology.changed().await.is_ok() {
        if matches!(&*topology.borrow_and_update(), State::Ready(_)) {
            return;
        }
    }
    std::future::pending::<()>().await;
}

pub(crate) fn unanswered(resource: &Resource, operation: &'static str, failure: Failure) -> Error {
    match failure.outcome {
        Outcome::NotApplied => Error::Unavailable(failure.unavailable),
        Outcome::Unknown => Error::Ambiguous {
            resource: resource.clone(),
            operation,
            cause: failure.unavailable,
        },
    }
}
