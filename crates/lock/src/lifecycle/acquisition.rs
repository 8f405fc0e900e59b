//! One acquisition: its attempts, what they may leave behind, and when to try again.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::ops::{AdoptOutcome, GrantOutcome, Refusal, Request};
use crate::clock::validity;
use crate::error::{Error, GateClosed, Held as HeldError, LostReason, TtlBound};
use crate::lifecycle::core::{Core, SHORT_PAUSE, unanswered};
use crate::lifecycle::lease_state::{Grant, LeaseState};
use crate::lifecycle::target::Target;
use crate::options::Terms;
use crate::protocol::keys::LockKind;
use crate::protocol::script::CLAIM;
use crate::token::Token;
use crate::transport::server_errors::Outcome;
use crate::unavailable::{Cause, Unavailable};

/// Between attempts while Redis is out of reach; a new link ends the pause.
const OUTAGE_PAUSE: Duration = Duration::from_secs(1);

fn new_token(core: &Core, target: &Target) -> Result<Token, Error> {
    let slots = match target.keys.kind {
        LockKind::Plain => None,
        LockKind::Slots => Some(target.keys.locks.len()),
    };
    let owner = target.owner.as_deref().unwrap_or(&core.options.owner);
    Token::random(owner, slots).map_err(Error::random)
}

/// One acquisition in progress. All its attempts use one token. When it is dropped, the cleanup worker
/// releases what they may have left behind.
pub(super) struct Acquisition {
    core: Arc<Core>,
    target: Target,
    terms: Terms,
    request: Request,
    /// Some attempt may have been granted without our knowing.
    grant_uncertain: bool,
    /// Whether the token was sent.
    has_asked: bool,
    /// Waiters before this one in the queue among processes, while it is in there.
    pub(super) before: Option<u32>,
    /// Some attempt may have entered that queue without our knowing.
    pub(super) may_be_queued: bool,
}

impl Acquisition {
    pub(super) fn new(
        core: &Arc<Core>,
        target: Target,
        terms: Terms,
        waits: bool,
    ) -> Result<Self, Error> {
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
            has_asked: false,
            before: None,
            may_be_queued: false,
        })
    }

    fn token(&self) -> Result<Token, Error> {
        new_token(&self.core, &self.target)
    }

    pub(super) async fn attempt(&mut self) -> Result<Arc<LeaseState>, Error> {
        let clock = self.core.clock;
        let was_uncertain = std::mem::replace(&mut self.grant_uncertain, true);
        self.request.is_repeated = was_uncertain;
        if std::mem::replace(&mut self.has_asked, true) && !was_uncertain {
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
        let (fence, slot, data_set) = match granting {
            GrantOutcome::Granted {
                fence,
                slot,
                data_set,
            } => (fence, slot, data_set),
            GrantOutcome::Refused(refusal) => return Err(self.refused(refusal, was_uncertain)),
        };
        self.before = None;
        self.may_be_queued = false;
        if clock.remaining(sent_at, validity(self.terms.ttl)).is_zero() {
            return Err(self.granted_too_late());
        }
        let grant = Grant {
            sent_at,
            fence,
            data_set,
        };
        Ok(self.hold(grant, slot))
    }

    fn refused(&mut self, refusal: Refusal, was_uncertain: bool) -> Error {
        match refusal {
            Refusal::NotReplicated(_) | Refusal::NoQuorum { .. } | Refusal::Resynced { .. } => {
                self.give_back();
            }
            Refusal::Held { before, .. } => {
                self.before = before;
                self.may_be_queued = before.is_some();
                self.grant_uncertain = was_uncertain;
            }
            Refusal::GateClosed { .. } | Refusal::AboveSharedBound { .. } => {
                self.grant_uncertain = was_uncertain;
            }
        }
        self.obstacle(refusal)
    }

    pub(super) async fn adopt(
        mut self,
        from: &Token,
        slot: usize,
    ) -> Result<Arc<LeaseState>, Error> {
        self.request.slot = Some(slot);
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
            AdoptOutcome::Refused(refusal) => self.obstacle(refusal),
            AdoptOutcome::Missing => lost(LostReason::Missing),
            AdoptOutcome::Stolen { by } => lost(LostReason::Stolen { by }),
        };
        self.grant_uncertain = false;
        Err(error)
    }

    fn obstacle(&self, refusal: Refusal) -> Error {
        let resource = self.target.resource.clone();
        match refusal {
            Refusal::Held {
                owner,
                remaining,
                before,
            } => Error::Held(HeldError {
                resource,
                owner,
                remaining,
                before,
                key: self.only_key(),
            }),
            Refusal::GateClosed { remaining, epoch } | Refusal::Resynced { remaining, epoch } => {
                Error::GateClosed(GateClosed {
                    resource,
                    remaining,
                    epoch,
                })
            }
            Refusal::NotReplicated(confirmed) => Error::NotReplicated {
                resource,
                acknowledged: confirmed.acknowledged,
                needed: confirmed.needed,
                data_nodes: confirmed.data_nodes,
            },
            Refusal::NoQuorum {
                granted,
                members,
                nodes,
            } => Error::NoQuorum {
                resource,
                granted,
                members,
                nodes,
            },
            Refusal::AboveSharedBound { most } => Error::Ttl {
                asked: self.terms.ttl,
                bound: TtlBound::AboveShared { most },
            },
        }
    }

    /// What stands in the way of those who wait behind this one in the same process, once it has the lock.
    pub(super) fn granted(&self) -> Error {
        Error::Held(HeldError {
            resource: self.target.resource.clone(),
            owner: Some(self.request.token.owner()),
            remaining: Some(self.terms.ttl),
            before: None,
            key: self.only_key(),
        })
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
    pub(super) fn pause_before(&self, obstacle: &Error) -> Duration {
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

impl Drop for Acquisition {
    fn drop(&mut self) {
        if self.grant_uncertain {
            self.core.cleanup.take_back(&self.request, self.terms.ttl);
        }
    }
}

#[cfg(test)]
mod tests;
