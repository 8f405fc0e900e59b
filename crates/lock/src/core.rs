//! What a locker and its leases share, and the way from asking to holding.

use std::sync::Arc;
use std::time::Duration;

use leasehold_config::LockOptions;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use crate::backend::{Backend, Granting, Releasing, Request};
use crate::clock::{Clock, validity};
use crate::error::{Error, GateClosed, Held as HeldError, TtlBound};
use crate::held::{Grant, Held};
use crate::keeper::Keeper;
use crate::options::Terms;
use crate::reaper::Reaper;
use crate::redis::classify::{Failure, Outcome};
use crate::redis::topology::State;
use crate::renewal::{self, Purpose, Renewed};
use crate::resource::{Keys, Resource};
use crate::token::Token;
use crate::waiting::{Place, Waiting};

/// Between attempts while nothing but a moment's patience is needed.
const SHORT_PAUSE: Duration = Duration::from_millis(50);
/// Between attempts while Redis is out of reach; a new link ends the pause.
const OUTAGE_PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Core {
    pub(crate) options: LockOptions,
    pub(crate) backend: Arc<Backend>,
    pub(crate) reaper: Reaper,
    pub(crate) keeper: Keeper,
    waiting: Arc<Waiting>,
    clock: Clock,
    /// How long one operation may go unanswered before its caller is told.
    patience: Duration,
    is_closed: watch::Sender<bool>,
}

impl Core {
    pub(crate) fn start(
        backend: Backend,
        options: LockOptions,
        clock: Clock,
        patience: Duration,
    ) -> Arc<Self> {
        let backend = Arc::new(backend);
        let waiting = Arc::new(Waiting::default());
        let freed = waiting.clone();
        let reaper = Reaper::start(backend.clone(), move |key| freed.freed(key));
        let keeper = Keeper::start(backend.clone(), reaper.clone(), clock);
        let is_closed = watch::Sender::new(false);
        Arc::new(Self {
            options,
            backend,
            reaper,
            keeper,
            waiting,
            clock,
            patience,
            is_closed,
        })
    }

    /// One attempt.
    pub(crate) async fn try_acquire(
        self: &Arc<Self>,
        resource: Resource,
        terms: Terms,
    ) -> Result<Arc<Held>, Error> {
        let mut claim = self.claim(resource, terms)?;
        claim.attempt().await
    }

    /// Attempts until the lease is granted or the timeout passes.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        resource: Resource,
        terms: Terms,
    ) -> Result<Arc<Held>, Error> {
        let mut place = self
            .waiting
            .enter(&format!("{}{resource}", self.options.key_prefix));
        let waiting = self.acquire_in_turn(&resource, terms, &mut place);
        let Some(timeout) = terms.timeout else {
            return waiting.await;
        };
        match timeout_at(Instant::now() + timeout, waiting).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.timed_out(resource, timeout, place.obstacle())),
        }
    }

    async fn acquire_in_turn(
        self: &Arc<Self>,
        resource: &Resource,
        terms: Terms,
        place: &mut Place,
    ) -> Result<Arc<Held>, Error> {
        let mut closed = self.is_closed.subscribe();
        tokio::select! {
            () = place.head() => {}
            _ = closed.wait_for(|closed| *closed) => return Err(Error::Closed),
        }
        let mut topology = self.backend.topology();
        let mut claim = self.claim(resource.clone(), terms)?;
        loop {
            if let Some(topology) = &mut topology {
                topology.mark_unchanged();
            }
            let obstacle = match claim.attempt().await {
                Ok(held) => return Ok(held),
                Err(obstacle) if obstacle.is_retryable() => obstacle,
                Err(obstacle) => return Err(obstacle),
            };
            tracing::debug!(%resource, %obstacle, "waiting");
            let pause = self.pause_before(&obstacle);
            place.set_obstacle(obstacle);
            tokio::select! {
                () = sleep(pause) => {}
                () = place.freed() => {}
                () = new_master(&mut topology) => {}
                _ = closed.wait_for(|closed| *closed) => return Err(Error::Closed),
            }
        }
    }

    /// How long to wait unless a hint comes first.
    fn pause_before(&self, obstacle: &Error) -> Duration {
        let most = self.options.retry_interval;
        match obstacle {
            // One millisecond later, so that the key has expired when the next attempt arrives.
            Error::Held(held) => held
                .remaining
                .map_or(most, |left| left + Duration::from_millis(1))
                .min(most),
            Error::GateClosed(GateClosed {
                remaining: Some(left),
                ..
            }) => *left + Duration::from_millis(1),
            Error::Unavailable(_) => OUTAGE_PAUSE.min(most),
            _ => SHORT_PAUSE.mul_f64(0.5 + fastrand::f64()).min(most),
        }
    }

    fn timed_out(&self, resource: Resource, timeout: Duration, obstacle: Option<Error>) -> Error {
        let because = match (self.backend.outage(), obstacle) {
            (Some(outage), _) => Error::Unavailable(outage),
            (None, Some(obstacle)) => obstacle,
            (None, None) => Error::Held(HeldError {
                resource: resource.clone(),
                owner: Some("another task of this process".to_owned()),
                remaining: None,
            }),
        };
        Error::TimedOut {
            resource,
            timeout,
            because: Box::new(because),
        }
    }

    fn claim(self: &Arc<Self>, resource: Resource, terms: Terms) -> Result<Claim, Error> {
        if *self.is_closed.borrow() {
            return Err(Error::Closed);
        }
        let token =
            Token::random(&self.options.owner).map_err(|error| Error::Random(error.to_string()))?;
        let keys = Arc::new(Keys::new(&self.options.key_prefix, &resource));
        let request = Request {
            keys,
            token,
            ttl: terms.ttl,
        };
        Ok(Claim {
            core: self.clone(),
            resource,
            terms,
            request,
            may_be_granted: false,
        })
    }

    pub(crate) async fn renew(&self, held: &Arc<Held>, purpose: Purpose) -> Renewed {
        let renewed = renewal::renew(&self.backend, &self.reaper, self.clock, held, purpose).await;
        if matches!(renewed, Renewed::Over(_)) {
            self.keeper.forget(held);
        }
        renewed
    }

    /// Ends a lease on this side: no more renewals, not valid any more.
    pub(crate) fn end(&self, held: &Held) {
        held.begin_release();
        self.keeper.forget(held);
    }

    /// Releases, again and again within the patience for one operation.
    pub(crate) async fn release(
        &self,
        resource: &Resource,
        request: &Request,
    ) -> Result<Releasing, Error> {
        let until = Instant::now() + self.patience;
        let mut topology = self.backend.topology();
        loop {
            if let Some(topology) = &mut topology {
                topology.mark_unchanged();
            }
            let failure = match self.backend.release(&request.keys, &request.token).await {
                Ok(releasing) => {
                    self.waiting.freed(&request.keys.lock);
                    return Ok(releasing);
                }
                Err(failure) => failure,
            };
            if Instant::now() >= until || !failure.unavailable.is_retryable() {
                return Err(unanswered(resource, "released", failure));
            }
            tokio::select! {
                () = sleep(SHORT_PAUSE) => {}
                () = new_master(&mut topology) => {}
            }
        }
    }

    /// Refuses everything new, ends what is held, and gives it back.
    pub(crate) async fn close(&self) {
        self.is_closed.send_replace(true);
        for held in self.keeper.lose_all() {
            self.reaper.take_back(&held.request, held.request.ttl);
        }
        self.reaper.finished().await;
    }
}

/// Waits for a link that was not there before.
async fn new_master(topology: &mut Option<watch::Receiver<State>>) {
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

fn unanswered(resource: &Resource, operation: &'static str, failure: Failure) -> Error {
    match failure.outcome {
        Outcome::NotApplied => Error::Unavailable(failure.unavailable),
        Outcome::Unknown => Error::Ambiguous {
            resource: resource.clone(),
            operation,
            cause: failure.unavailable,
        },
    }
}

/// One acquisition under way. All its attempts use one token; what they may have left behind when
/// it is dropped is taken back.
struct Claim {
    core: Arc<Core>,
    resource: Resource,
    terms: Terms,
    request: Request,
    /// Some attempt may have been granted without our knowing.
    may_be_granted: bool,
}

impl Claim {
    async fn attempt(&mut self) -> Result<Arc<Held>, Error> {
        let clock = self.core.clock;
        let was_uncertain = std::mem::replace(&mut self.may_be_granted, true);
        let sent_at = clock.now();
        let answer = self.core.backend.grant(&self.request).await;
        let obstacle = match answer {
            Ok(Granting::Granted { fence, data_set }) => {
                let grant = Grant {
                    sent_at,
                    fence,
                    data_set,
                };
                if clock.remaining(sent_at, validity(self.terms.ttl)).is_zero() {
                    // Granted too late to be of use: the same token asks again.
                    return Err(self.held_by_nobody());
                }
                return Ok(self.hold(grant));
            }
            Ok(Granting::NotReplicated(confirmed)) => {
                self.give_back();
                return Err(Error::NotReplicated {
                    resource: self.resource.clone(),
                    acknowledged: confirmed.acknowledged,
                    needed: confirmed.needed,
                    data_nodes: confirmed.data_nodes,
                });
            }
            Err(failure) if failure.outcome == Outcome::Unknown => {
                return Err(unanswered(&self.resource, "leased", failure));
            }
            Err(failure) => Error::Unavailable(failure.unavailable),
            Ok(Granting::Held { owner, remaining }) => Error::Held(HeldError {
                resource: self.resource.clone(),
                owner,
                remaining,
            }),
            Ok(Granting::GateClosed { remaining, epoch }) => Error::GateClosed(GateClosed {
                resource: self.resource.clone(),
                remaining,
                epoch,
            }),
            Ok(Granting::AboveSharedBound { most }) => Error::Ttl {
                asked: self.terms.ttl,
                bound: TtlBound::AboveShared { most },
            },
        };
        self.may_be_granted = was_uncertain;
        Err(obstacle)
    }

    fn hold(&mut self, grant: Grant) -> Arc<Held> {
        self.may_be_granted = false;
        let held = Arc::new(Held::new(
            self.resource.clone(),
            self.request.clone(),
            self.terms,
            grant,
            self.core.clock,
        ));
        self.core.keeper.keep(&held);
        held
    }

    /// Takes back what was granted but does not count, and goes on under a new token, so that the
    /// taking back cannot hit a later grant.
    fn give_back(&mut self) {
        self.core.reaper.take_back(&self.request, self.terms.ttl);
        self.may_be_granted = false;
        match Token::random(&self.core.options.owner) {
            Ok(token) => self.request.token = token,
            Err(_) => self.may_be_granted = true,
        }
    }

    fn held_by_nobody(&self) -> Error {
        Error::Held(HeldError {
            resource: self.resource.clone(),
            owner: Some(self.request.token.owner()),
            remaining: Some(Duration::ZERO),
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.may_be_granted {
            self.core.reaper.take_back(&self.request, self.terms.ttl);
        }
    }
}
