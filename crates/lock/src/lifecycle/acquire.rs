//! From asking to holding: the queue of this process, then attempts until one is granted.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::backend::ops::{AdoptOutcome, GrantOutcome, Request};
use crate::clock::{later, validity};
use crate::error::{Error, GateClosed, Held as HeldError, LostReason, TtlBound};
use crate::lifecycle::core::{Core, SHORT_PAUSE, new_master, unanswered};
use crate::lifecycle::lease_state::{Grant, LeaseState};
use crate::lifecycle::wait_queue::Place;
use crate::master::state::State;
use crate::options::{AcquireOptions, Terms};
use crate::protocol::script::CLAIM;
use crate::resource::{Keys, Kind, Resource};
use crate::telemetry::{self, WaitReasons};
use crate::token::Token;
use crate::transport::server_errors::Outcome;
use crate::unavailable::{Cause, Unavailable};

/// Between attempts while Redis is out of reach; a new link ends the pause.
const OUTAGE_PAUSE: Duration = Duration::from_secs(1);
/// Waiters of many processes come back to a new master within this time, not all at once.
const SPREAD: Duration = Duration::from_millis(20);

/// What to lease: a name and its keys.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) resource: Resource,
    pub(crate) keys: Arc<Keys>,
    /// Who is to hold it, unless the one that is configured.
    pub(crate) owner: Option<Arc<str>>,
}

impl Target {
    pub(crate) fn new(
        core: &Core,
        resource: Resource,
        options: &AcquireOptions,
    ) -> Result<Self, Error> {
        Ok(Self {
            keys: Arc::new(Keys::new(&core.options.key_prefix, &resource)?),
            resource,
            owner: options.owner.clone(),
        })
    }
}

/// Makes one attempt.
pub(crate) async fn try_acquire(
    core: &Arc<Core>,
    target: Target,
    terms: Terms,
) -> Result<Arc<LeaseState>, Error> {
    let attempt = async {
        Claim::new(core, target.clone(), terms, false)?
            .attempt()
            .await
    };
    telemetry::acquiring(&target.resource, terms, "try", pin!(attempt)).await
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
    let adopting = async {
        let mut claim = Claim::new(core, target, terms, false)?;
        claim.request.slot = Some(slot);
        claim.adopt(from, slot).await
    };
    telemetry::acquiring(&resource, terms, "adopt", pin!(adopting)).await
}

/// Attempts until the lease is granted or the timeout passes.
pub(crate) async fn acquire(
    core: &Arc<Core>,
    target: Target,
    terms: Terms,
) -> Result<Arc<LeaseState>, Error> {
    let limit = terms.timeout.map(Limit::from_now);
    acquire_within(core, target, terms, limit).await
}

/// When an acquisition that waits ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    deadline: Instant,
    /// What was asked for, for the error.
    timeout: Duration,
}

impl Limit {
    pub(crate) fn from_now(timeout: Duration) -> Self {
        Self {
            deadline: later(Instant::now(), timeout),
            timeout,
        }
    }
}

/// Attempts until the lease is granted or the limit is reached. Where it is reached already, the
/// resource is asked for once.
pub(crate) async fn acquire_within(
    core: &Arc<Core>,
    target: Target,
    terms: Terms,
    limit: Option<Limit>,
) -> Result<Arc<LeaseState>, Error> {
    let resource = target.resource.clone();
    let acquiring = async {
        match limit {
            None => wait_for(core, target, terms).await,
            Some(limit) if limit.deadline <= Instant::now() => {
                ask_once(core, target, terms, limit).await
            }
            Some(limit) => wait_until(core, target, terms, limit).await,
        }
    };
    telemetry::acquiring(&resource, terms, "wait", pin!(acquiring)).await
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
    let attempted = Claim::new(core, target, terms, false)?.attempt().await;
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
        let because = because.unwrap_or_else(|| unanswered_within(core, limit.timeout));
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
    let claim = Claim::new(core, target, terms, true)?;
    let mut contender = Contender { claim, place };
    loop {
        if let Some(topology) = &mut topology {
            topology.mark_unchanged();
        }
        contender.place.set_has_place(true);
        let attempted = tokio::select! {
            biased;
            attempted = contender.claim.attempt() => attempted,
            reason = core.stop.stopped() => Err(reason.error()),
        };
        contender.place.set_has_place(contender.claim.may_be_queued);
        let obstacle = match attempted {
            Ok(held) => return Ok(held),
            Err(obstacle) if obstacle.is_retryable() => obstacle,
            Err(obstacle) => return Err(obstacle),
        };
        obstacles.met(&obstacle);
        let pause = contender.claim.pause_before(&obstacle);
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

fn new_token(core: &Core, target: &Target) -> Result<Token, Error> {
    let slots = match target.keys.kind {
        Kind::Plain => None,
        Kind::Slots => Some(target.keys.locks.len()),
    };
    let owner = target.owner.as_deref().unwrap_or(&core.options.owner);
    Token::random(owner, slots).map_err(Error::random)
}

/// The head of this process' queue, contending with other processes.
struct Contender<'a> {
    claim: Claim,
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
                    if self.claim.before != Some(0) {
                        sleep(SPREAD.mul_f64(fastrand::f64())).await;
                    }
                    return;
                }
            }
        }
    }
}

/// One acquisition under way. All its attempts use one token; what they may have left behind when
/// it is dropped is taken back.
struct Claim {
    core: Arc<Core>,
    target: Target,
    terms: Terms,
    request: Request,
    /// Some attempt may have been granted without our knowing.
    grant_uncertain: bool,
    /// Waiters before this one in the queue among processes, while it is in there.
    before: Option<u32>,
    /// Some attempt may have entered that queue without our knowing.
    may_be_queued: bool,
}

impl Claim {
    fn new(core: &Arc<Core>, target: Target, terms: Terms, waits: bool) -> Result<Self, Error> {
        core.stop.check()?;
        let token = new_token(core, &target)?;
        let keys = target.keys.clone();
        let slot = (keys.locks.len() == 1).then_some(0);
        let request = Request {
            keys,
            token,
            ttl: terms.ttl,
            slot,
            waits,
            is_repeated: false,
            proposal: None,
        };
        Ok(Self {
            core: core.clone(),
            target,
            terms,
            request,
            grant_uncertain: false,
            before: None,
            may_be_queued: false,
        })
    }

    fn token(&self) -> Result<Token, Error> {
        new_token(&self.core, &self.target)
    }

    async fn attempt(&mut self) -> Result<Arc<LeaseState>, Error> {
        let clock = self.core.clock;
        let was_uncertain = std::mem::replace(&mut self.grant_uncertain, true);
        self.request.is_repeated = was_uncertain;
        if !was_uncertain {
            // A token tells when its holder was granted.
            self.request.token = self.token()?;
        }
        self.may_be_queued |= self.request.waits;
        let sent_at = clock.now();
        let granting = match self.core.backend.grant(&self.request).await {
            Ok(granting) => granting,
            Err(failure) => {
                self.grant_uncertain = was_uncertain || failure.outcome == Outcome::Unknown;
                return Err(unanswered(&self.target.resource, "leased", failure));
            }
        };
        match granting {
            GrantOutcome::Granted {
                fence,
                slot,
                data_set,
            } => {
                self.before = None;
                self.may_be_queued = false;
                if clock.remaining(sent_at, validity(self.terms.ttl)).is_zero() {
                    return Err(self.granted_too_late());
                }
                return Ok(self.hold(
                    Grant {
                        sent_at,
                        fence,
                        data_set,
                    },
                    slot,
                ));
            }
            GrantOutcome::NotReplicated(_)
            | GrantOutcome::NoQuorum { .. }
            | GrantOutcome::Resynced { .. } => {
                self.give_back();
            }
            GrantOutcome::Held { before, .. } => {
                self.before = before;
                self.may_be_queued = before.is_some();
                self.grant_uncertain = was_uncertain;
            }
            GrantOutcome::GateClosed { .. } | GrantOutcome::AboveSharedBound { .. } => {
                self.grant_uncertain = was_uncertain;
            }
        }
        Err(self.obstacle(granting))
    }

    async fn adopt(&mut self, from: &Token, slot: usize) -> Result<Arc<LeaseState>, Error> {
        self.grant_uncertain = true;
        let sent_at = self.core.clock.now();
        let resource = self.target.resource.clone();
        let lost = |reason| Error::Lost {
            resource: resource.clone(),
            reason,
        };
        let adopting = match self.core.backend.adopt(&self.request, from).await {
            Ok(adopting) => adopting,
            Err(failure) => {
                self.grant_uncertain = failure.outcome == Outcome::Unknown;
                return Err(unanswered(&resource, "adopted", failure));
            }
        };
        let error = match adopting {
            AdoptOutcome::Adopted { fence, data_set } => {
                return Ok(self.hold(
                    Grant {
                        sent_at,
                        fence,
                        data_set,
                    },
                    slot,
                ));
            }
            // The store gave the lock back to the token of the ticket.
            AdoptOutcome::NotReplicated(confirmed) => {
                self.obstacle(GrantOutcome::NotReplicated(confirmed))
            }
            AdoptOutcome::GateClosed { remaining, epoch } => {
                self.obstacle(GrantOutcome::GateClosed { remaining, epoch })
            }
            AdoptOutcome::AboveSharedBound { most } => {
                self.obstacle(GrantOutcome::AboveSharedBound { most })
            }
            AdoptOutcome::Missing => lost(LostReason::Missing),
            AdoptOutcome::Stolen { by } => lost(LostReason::Stolen { by }),
        };
        self.grant_uncertain = false;
        Err(error)
    }

    fn obstacle(&self, granting: GrantOutcome) -> Error {
        let resource = self.target.resource.clone();
        match granting {
            GrantOutcome::Held {
                owner, remaining, ..
            } => Error::Held(HeldError {
                resource,
                owner,
                remaining,
                key: self.only_key(),
            }),
            GrantOutcome::GateClosed { remaining, epoch }
            | GrantOutcome::Resynced { remaining, epoch } => Error::GateClosed(GateClosed {
                resource,
                remaining,
                epoch,
            }),
            GrantOutcome::NotReplicated(confirmed) => Error::NotReplicated {
                resource,
                acknowledged: confirmed.acknowledged,
                needed: confirmed.needed,
                data_nodes: confirmed.data_nodes,
            },
            GrantOutcome::NoQuorum {
                granted,
                members,
                nodes,
            } => Error::NoQuorum {
                resource,
                granted,
                members,
                nodes,
            },
            GrantOutcome::AboveSharedBound { most } => Error::Ttl {
                asked: self.terms.ttl,
                bound: TtlBound::AboveShared { most },
            },
            GrantOutcome::Granted { .. } => self.granted_too_late(),
        }
    }

    /// The key that holds the lock, unless it may be one of several.
    fn only_key(&self) -> Option<Arc<str>> {
        match self.target.keys.locks.as_slice() {
            [key] => Some(key.clone()),
            _ => None,
        }
    }

    /// The reply came when nothing was left of the lease. The same token may ask again.
    fn granted_too_late(&self) -> Error {
        Error::Unavailable(Unavailable::new(Cause::Timeout {
            after: self.terms.ttl,
        }))
    }

    fn hold(&mut self, grant: Grant, slot: usize) -> Arc<LeaseState> {
        self.grant_uncertain = false;
        self.request.slot = Some(slot);
        let (resource, request) = (self.target.resource.clone(), self.request.clone());
        let held = Arc::new(LeaseState::new(
            resource,
            request,
            self.terms,
            grant,
            self.core.clock,
            self.core.stop.clone(),
        ));
        self.core.scheduler.keep(&held);
        held
    }

    /// Takes back what was granted but does not count, and goes on under a new token, so that the
    /// taking back cannot hit a later grant.
    fn give_back(&mut self) {
        self.before = None;
        self.core.cleanup.take_back(&self.request, self.terms.ttl);
        if let Ok(token) = self.token() {
            self.request.token = token;
            self.grant_uncertain = false;
        }
    }

    /// How long to wait unless a call comes first.
    fn pause_before(&self, obstacle: &Error) -> Duration {
        let most = self.core.options.retry_interval;
        // One millisecond later, so that the key has expired when the next attempt arrives.
        let after = |left: Duration| left.saturating_add(Duration::from_millis(1));
        match obstacle {
            Error::Held(held) => {
                let left = held.remaining.map_or(most, after);
                // Everyone before has a claim's time to take the lock when it expires.
                let claims = self.before.unwrap_or_default() * CLAIM;
                left.saturating_add(claims).min(most)
            }
            Error::GateClosed(GateClosed {
                remaining: Some(left),
                ..
            }) => after(*left),
            Error::Unavailable(_) => OUTAGE_PAUSE.min(most),
            _ => SHORT_PAUSE.mul_f64(0.5 + fastrand::f64()).min(most),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.grant_uncertain {
            self.core.cleanup.take_back(&self.request, self.terms.ttl);
        }
    }
}
