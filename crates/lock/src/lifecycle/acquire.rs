//! Acquiring: waits in the queue of this process, then attempts until one is granted.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::clock::later;
use crate::error::Error;
use crate::lifecycle::acquisition::Acquisition;
use crate::lifecycle::core::{Core, new_master};
use crate::lifecycle::lease_state::LeaseState;
use crate::lifecycle::target::Target;
use crate::lifecycle::wait_queue::Place;
use crate::master::state::State;
use crate::options::Terms;
use crate::protocol::script::CLAIM;
use crate::resource::Resource;
use crate::telemetry::{self, WaitReasons};
use crate::token::Token;
use crate::unavailable::{Cause, Unavailable};

/// Waiters of many processes come back to a new master within this time, not all at once.
const SPREAD: Duration = Duration::from_millis(20);

/// Makes one attempt.
pub(crate) async fn try_acquire(
    core: &Arc<Core>,
    target: Target,
    terms: Terms,
) -> Result<Arc<LeaseState>, Error> {
    let attempt = pin!(async {
        Acquisition::new(core, target.clone(), terms, false)?
            .attempt()
            .await
    });
    telemetry::acquiring(&target.resource, terms, "try", attempt).await
}

/// Takes over the lease that `from` holds on one of the target's locks.
pub(crate) async fn adopt(
    core: &Arc<Core>,
    target: Target,
    terms: Terms,
    slot: usize,
    from: &Token,
) -> Result<Arc<LeaseState>, Error> {
    let resource = target.resource.clone();
    let adopting = pin!(async {
        let acquisition = Acquisition::new(core, target, terms, false)?;
        acquisition.adopt(from, slot).await
    });
    telemetry::acquiring(&resource, terms, "adopt", adopting).await
}

/// When an acquisition that waits ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    deadline: Instant,
    /// What was asked for, for the error.
    timeout: Duration,
}

impl Limit {
    /// From now on; `None` if it waits without end.
    pub(crate) fn of(terms: Terms) -> Option<Self> {
        let timeout = terms.timeout?;
        Some(Self {
            deadline: later(Instant::now(), timeout),
            timeout,
        })
    }
}

/// Attempts until the lease is granted or the limit is reached. Where it is reached already, the
/// resource is asked for once.
pub(crate) async fn acquire(
    core: &Arc<Core>,
    target: Target,
    terms: Terms,
    limit: Option<Limit>,
) -> Result<Arc<LeaseState>, Error> {
    let resource = target.resource.clone();
    // Pinned where it is made: it is large, and would be moved else.
    let acquiring = pin!(async {
        match limit {
            None => wait_for(core, target, terms).await,
            Some(limit) if limit.deadline <= Instant::now() => {
                ask_once(core, target, terms, limit).await
            }
            Some(limit) => wait_until(core, target, terms, limit).await,
        }
    });
    telemetry::acquiring(&resource, terms, "wait", acquiring).await
}

async fn wait_for(
    core: &Arc<Core>,
    target: Target,
    terms: Terms,
) -> Result<Arc<LeaseState>, Error> {
    let mut place = core.waiting.enter(&target.keys.wait_key);
    acquire_in_turn(core, target, terms, &mut place).await
}

async fn ask_once(
    core: &Arc<Core>,
    target: Target,
    terms: Terms,
    limit: Limit,
) -> Result<Arc<LeaseState>, Error> {
    let resource = target.resource.clone();
    let attempted = Acquisition::new(core, target, terms, false)?
        .attempt()
        .await;
    attempted.map_err(|error| match error {
        error if error.is_retryable() => timed_out(resource, limit, error),
        error => error,
    })
}

async fn wait_until(
    core: &Arc<Core>,
    target: Target,
    terms: Terms,
    limit: Limit,
) -> Result<Arc<LeaseState>, Error> {
    let mut place = core.waiting.enter(&target.keys.wait_key);
    let resource = target.resource.clone();
    let outcome = {
        let waiting = pin!(acquire_in_turn(core, target, terms, &mut place));
        timeout_at(limit.deadline, waiting).await
    };
    outcome.unwrap_or_else(|_| {
        let outage = core.backend.outage().map(Error::Unavailable);
        let because = outage.or_else(|| place.obstacle());
        let because = because.unwrap_or_else(|| {
            let asked = place.asked_for().unwrap_or(limit.timeout);
            unanswered_within(core, asked.min(limit.timeout))
        });
        Err(timed_out(resource, limit, because))
    })
}

/// What is known of a wait in which no reply came: that none came.
fn unanswered_within(core: &Core, after: Duration) -> Error {
    let topology = core.backend.topology();
    let node = topology.and_then(|topology| match &*topology.borrow() {
        State::Ready(link) => Some(link.node().clone()),
        State::Connecting | State::Down(_) => None,
    });
    let cause = Cause::Timeout { after };
    Error::Unavailable(match node {
        Some(node) => Unavailable::on(&node, cause),
        None => Unavailable::new(cause),
    })
}

async fn acquire_in_turn(
    core: &Arc<Core>,
    target: Target,
    terms: Terms,
    place: &mut Place,
) -> Result<Arc<LeaseState>, Error> {
    let mut obstacles = WaitReasons::new(&target.resource, terms);
    if !place.is_next() {
        obstacles.queued();
    }
    tokio::select! {
        biased;
        () = place.head() => {}
        reason = core.stop.stopped() => return Err(reason.error()),
    }
    let mut topology = core.backend.topology();
    let acquisition = Acquisition::new(core, target, terms, true)?;
    let mut contender = Contender { acquisition, place };
    loop {
        if let Some(topology) = &mut topology {
            topology.mark_unchanged();
        }
        contender.place.set_has_place(true);
        let attempted = tokio::select! {
            biased;
            attempted = contender.acquisition.attempt() => attempted,
            reason = core.stop.stopped() => Err(reason.error()),
        };
        contender
            .place
            .set_has_place(contender.acquisition.may_be_queued);
        let obstacle = match attempted {
            Ok(held) => {
                if contender.place.is_followed() {
                    let granted = contender.acquisition.granted();
                    contender.place.set_obstacle(granted);
                }
                return Ok(held);
            }
            Err(obstacle) if obstacle.is_retryable() => obstacle,
            Err(obstacle) => return Err(obstacle),
        };
        obstacles.met(&obstacle);
        let pause = contender.acquisition.pause_before(&obstacle);
        contender.place.set_obstacle(obstacle);
        tokio::select! {
            () = contender.pause(pause, &mut topology) => {}
            reason = core.stop.stopped() => return Err(reason.error()),
        }
    }
}

fn timed_out(resource: Resource, limit: Limit, because: Error) -> Error {
    Error::TimedOut {
        resource,
        timeout: limit.timeout,
        because: Box::new(because),
    }
}

/// The head of this process' queue, contending with other processes.
struct Contender<'a> {
    acquisition: Acquisition,
    place: &'a mut Place,
}

impl Contender<'_> {
    /// Waits for `pause`, for a call, or for another master.
    async fn pause(&self, pause: Duration, topology: &mut Option<watch::Receiver<State>>) {
        let mut until = later(Instant::now(), pause);
        loop {
            tokio::select! {
                () = sleep_until(until) => return,
                () = self.place.freed() => return,
                () = self.place.soon() => {
                    let claimed = Instant::now() + CLAIM + Duration::from_millis(1);
                    until = until.min(claimed);
                }
                () = new_master(topology) => {
                    if self.acquisition.before != Some(0) {
                        sleep(SPREAD.mul_f64(fastrand::f64())).await;
                    }
                    return;
                }
            }
        }
    }
}
