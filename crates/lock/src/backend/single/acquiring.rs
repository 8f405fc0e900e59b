//! Granting a lock: by plain commands where it is free and nobody waits, else by script.

use std::time::Duration;

use super::replies::Acquired;
use super::{Single, data_set, other_incarnation};
use crate::backend::ops::{GrantOutcome, Refusal, Request};
use crate::fence::Fence;
use crate::master::confirm::Confirmed;
use crate::master::link::Link;
use crate::protocol::grant::{GrantCommands, GrantReply};
use crate::protocol::keys::LockKind;
use crate::protocol::script::{ACQUIRE, ScriptCall};
use crate::transport::server_errors::Failure;

/// Void grants, and gates that were found unclaimed, before the caller is told to come back.
const ROUNDS: usize = 3;

/// What one attempt came to.
enum Attempt {
    Granted {
        fence: Fence,
        slot: usize,
        /// The claim of the gate under which it was made.
        claim: u64,
        confirmed: Confirmed,
    },
    Refused(Refusal),
    GateUnclaimed,
}

impl Single {
    pub(crate) async fn grant(&self, request: &Request) -> Result<GrantOutcome, Failure> {
        let link = self.link_that_grants()?;
        if let Some(modes) = &self.modes {
            modes.check(&link).await?;
        }
        let mut may_be_set = false;
        let mut attempt = match self.grant_by_commands(&link, request).await? {
            Some(attempt) => attempt,
            None => self.grant_by_script(&link, request).await?,
        };
        for _ in 0..ROUNDS {
            match attempt {
                Attempt::Refused(refusal) => return Ok(refused(refusal, may_be_set)),
                Attempt::Granted {
                    fence,
                    slot,
                    claim,
                    confirmed,
                } => {
                    let slot = request.slot.unwrap_or(slot);
                    let granted = (fence, slot, claim);
                    match self.held_back(&link, request, granted, confirmed).await? {
                        None => may_be_set = true,
                        Some(confirmed) if confirmed.by_majority() => {
                            return Ok(GrantOutcome::Granted {
                                fence,
                                slot,
                                data_set: data_set(&link),
                            });
                        }
                        Some(confirmed) => {
                            return Ok(GrantOutcome::Refused(Refusal::NotReplicated(confirmed)));
                        }
                    }
                }
                Attempt::GateUnclaimed => {}
            }
            let uncertain = |failure: Failure| match may_be_set {
                true => Failure::unknown(failure.unavailable),
                false => failure,
            };
            match self.open_gate(&link).await.map_err(uncertain)? {
                Some(Duration::ZERO) => {}
                remaining => return Ok(refused(closed(&link, remaining), may_be_set)),
            }
            let again = self.grant_by_script(&link, request).await;
            attempt = again.map_err(uncertain)?;
        }
        Ok(refused(closed(&link, None), true))
    }

    /// `None`: not possible, or undecided; the script may follow with the same token.
    async fn grant_by_commands(
        &self,
        link: &Link,
        request: &Request,
    ) -> Result<Option<Attempt>, Failure> {
        let name = &request.keys.name;
        // A token is sent this way once: its commands, sent again, could come late and in pieces.
        let is_simple = request.keys.kind == LockKind::Plain
            && !(request.is_repeated || self.is_asking || self.contended.contains(name));
        let claim = link.claim_for_commands(request.ttl).filter(|_| is_simple);
        let Some(claim) = claim else {
            return Ok(None);
        };
        let counter = self.counters.of(name);
        let Some(floor) = self.fences.floor_on(&counter, link.reign()) else {
            return Ok(None);
        };
        let grant = GrantCommands {
            lock: name.clone(),
            token: request.token.clone(),
            ttl: request.ttl,
            counter,
            floor,
        };
        let (replies, confirmed) = link.grant_confirmed(&grant).await?;
        match link.read(grant.answer(&replies))? {
            GrantReply::Granted(fence) => {
                self.fences.seen(&grant.counter, fence);
                Ok(Some(Attempt::Granted {
                    fence,
                    slot: 0,
                    claim,
                    confirmed,
                }))
            }
            GrantReply::Undecided => {
                self.contended.insert(name);
                Ok(None)
            }
        }
    }

    async fn grant_by_script(&self, link: &Link, request: &Request) -> Result<Attempt, Failure> {
        let counter = self.counters.of(&request.keys.name);
        let call = self.acquire(link, request, &counter);
        let (reply, confirmed) = link.call_confirmed(call).await?;
        let acquired = link.read(Acquired::parse(&reply))?;
        let refusal = match acquired {
            Acquired::Granted { fence, slot, claim } => {
                self.fences.raised(counter, link.reign(), fence);
                return Ok(Attempt::Granted {
                    fence,
                    slot,
                    claim,
                    confirmed,
                });
            }
            Acquired::GateUnclaimed => return Ok(Attempt::GateUnclaimed),
            Acquired::OtherIncarnation => return Err(other_incarnation(link)),
            Acquired::GateClosed(remaining) => closed(link, Some(remaining)),
            Acquired::AboveSharedBound { most } => Refusal::AboveSharedBound { most },
            Acquired::Held {
                owner,
                remaining,
                before,
                foreign,
            } => {
                self.contended.insert(&request.keys.name);
                let is_free_now = foreign
                    && request.waits
                    && link.tracks_key_changes
                    && link.read_and_watch(&request.keys.locks).await?;
                Refusal::Held {
                    owner,
                    remaining: if is_free_now {
                        Some(Duration::ZERO)
                    } else {
                        remaining
                    },
                    before,
                }
            }
        };
        Ok(Attempt::Refused(refusal))
    }

    fn acquire(&self, link: &Link, request: &Request, counter: &str) -> ScriptCall {
        let keys = &request.keys;
        let replication_id = link
            .gate
            .as_ref()
            .map(|_| &*link.incarnation.replication_id);
        let call = self
            .call_of(&ACQUIRE)
            .key(counter)
            .key(&keys.queue())
            .key(&keys.alive())
            .keys(request.locks())
            .keys(link.gate.iter().map(|gate| &gate.record))
            .argument(request.token.reveal())
            .argument(request.ttl.as_millis())
            .argument(self.fence_floor(counter, request))
            .argument(reign_id(link, request))
            .argument(&keys.name)
            .argument(replication_id.unwrap_or_default());
        // Who cannot be called has no place in the queue, where it would only hold up others.
        let enters = request.waits && link.receives_wakeups;
        if !enters && request.proposal.is_none() {
            return call;
        }
        let waiter = enters.then(|| self.waiter.id_in(keys));
        let call = call
            .argument(waiter.unwrap_or_default())
            .argument(self.waiter.counts_for().as_millis());
        match request.proposal {
            Some(proposal) => call.argument(proposal.arrival),
            None => call,
        }
    }

    /// What the fence must exceed.
    pub(super) fn fence_floor(&self, counter: &str, request: &Request) -> i64 {
        match request.proposal {
            Some(proposal) => proposal.fence.as_i64() - 1,
            None => self.fences.floor(counter),
        }
    }
}

/// What the fence counter is for; see fence.lua.
pub(super) fn reign_id(link: &Link, request: &Request) -> String {
    match request.proposal {
        Some(_) => "quorum".to_owned(),
        None => link.reign_id(),
    }
}

pub(super) fn closed(link: &Link, remaining: Option<Duration>) -> Refusal {
    Refusal::GateClosed {
        remaining,
        epoch: link.epoch(),
    }
}

/// A refusal, where a void grant before it may have set the key: the caller has to take that back.
fn refused(refusal: Refusal, may_be_set: bool) -> GrantOutcome {
    GrantOutcome::Refused(match refusal {
        Refusal::GateClosed { remaining, epoch } if may_be_set => {
            Refusal::Resynced { remaining, epoch }
        }
        refusal => refusal,
    })
}

#[cfg(test)]
mod tests;
