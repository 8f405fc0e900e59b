//! Taking a lease over. It is a grant: in strict mode it waits for the gate like any other. A replica
//! that was promoted may still have a token that was taken over, or given back, on its master.

use std::time::Duration;

use redis::Value;

use super::acquiring::{closed, reign_id};
use super::replies::{self, unknown_code};
use super::{Single, data_set, other_incarnation};
use crate::backend::ops::{AdoptOutcome, Refusal, Request};
use crate::fence::Fence;
use crate::master::confirm::Confirmed;
use crate::master::link::Link;
use crate::protocol::reply::{self, Unexpected};
use crate::protocol::script::{ADOPT, GIVE_BACK, ScriptCall};
use crate::token::{Token, owner_in};
use crate::transport::server_errors::Failure;

impl Single {
    pub(crate) async fn adopt(
        &self,
        request: &Request,
        from: &Token,
    ) -> Result<AdoptOutcome, Failure> {
        let link = self.link_that_grants()?;
        let counter = self.counters.of(&request.keys.name);
        let closed = |remaining| AdoptOutcome::Refused(closed(&link, remaining));
        // Twice: the first may find the gate of this incarnation unclaimed, the second passes it.
        for _ in 0..2 {
            let call = self.adoption(&link, request, (from, &request.token), &counter);
            let (reply, confirmed) = link.call_confirmed(call).await?;
            let answer = link.read(AdoptReply::parse(&reply))?;
            return Ok(match answer {
                AdoptReply::Adopted { fence, claim } => {
                    let slot = request.slot.unwrap_or_default();
                    let granted = (fence, slot, claim);
                    let counted = self.held_back(&link, request, granted, confirmed).await?;
                    if counted.is_some_and(Confirmed::by_majority) {
                        self.fences.raised(counter, link.reign(), fence);
                        return Ok(AdoptOutcome::Adopted {
                            fence,
                            data_set: data_set(&link),
                        });
                    }
                    if counted.is_none() && self.open_gate(&link).await? == Some(Duration::ZERO) {
                        continue;
                    }
                    self.give_back(&link, request, from).await?;
                    let unconfirmed = counted.unwrap_or_else(|| confirmed.by_nobody_else());
                    AdoptOutcome::Refused(Refusal::NotReplicated(unconfirmed))
                }
                AdoptReply::Missing => AdoptOutcome::Missing,
                AdoptReply::Stolen { by } => AdoptOutcome::Stolen { by },
                AdoptReply::AboveSharedBound { most } => {
                    AdoptOutcome::Refused(Refusal::AboveSharedBound { most })
                }
                AdoptReply::GateClosed(remaining) => closed(Some(remaining)),
                AdoptReply::OtherIncarnation => return Err(other_incarnation(&link)),
                AdoptReply::GateUnclaimed => match self.open_gate(&link).await? {
                    Some(Duration::ZERO) => continue,
                    remaining => closed(remaining),
                },
            });
        }
        Ok(closed(None))
    }

    /// Gives the lock back to the token that it was taken over from, so that its ticket stays good.
    async fn give_back(&self, link: &Link, request: &Request, from: &Token) -> Result<(), Failure> {
        let mut call = self
            .call_of(&GIVE_BACK)
            .keys(request.locks())
            .argument(request.token.reveal())
            .argument(from.reveal());
        if link.gate.is_some() {
            call = call.argument(&link.incarnation.replication_id);
        }
        let given_back = link.call_behind_grants(call).await;
        // Unknown: whose token it is now. The caller releases its own.
        given_back
            .map(drop)
            .map_err(|failure| Failure::unknown(failure.unavailable))
    }

    fn adoption(
        &self,
        link: &Link,
        request: &Request,
        (from, to): (&Token, &Token),
        counter: &str,
    ) -> ScriptCall {
        let call = self
            .call_of(&ADOPT)
            .keys(request.locks())
            .key(counter)
            .keys(link.gate.iter().map(|gate| &gate.record))
            .argument(from.reveal())
            .argument(to.reveal())
            .argument(request.ttl.as_millis())
            .argument(self.fence_floor(counter, request))
            .argument(reign_id(link, request));
        if link.gate.is_some() {
            call.argument(&link.incarnation.replication_id)
        } else {
            call
        }
    }
}

/// The reply of `adopt.lua`.
pub(super) enum AdoptReply {
    Adopted { fence: Fence, claim: u64 },
    Missing,
    Stolen { by: String },
    GateUnclaimed,
    OtherIncarnation,
    GateClosed(Duration),
    AboveSharedBound { most: Duration },
}

impl AdoptReply {
    pub(super) fn parse(reply: &Value) -> Result<Self, Unexpected> {
        let items = reply::array(reply)?;
        let number = |at| reply::integer(reply::item(items, at)?);
        let milliseconds = |at| -> Result<_, Unexpected> {
            Ok(replies::remaining(number(at)?).unwrap_or_default())
        };
        match number(0)? {
            1 => Ok(Self::Adopted {
                fence: replies::fence(number(1)?)?,
                claim: u64::try_from(number(2)?).unwrap_or_default(),
            }),
            0 => Ok(Self::Missing),
            -1 => {
                let by = owner_in(&reply::text(reply::item(items, 1)?)?);
                Ok(Self::Stolen { by })
            }
            -2 => Ok(Self::GateUnclaimed),
            -3 => Ok(Self::OtherIncarnation),
            -4 => Ok(Self::GateClosed(milliseconds(1)?)),
            -5 => Ok(Self::AboveSharedBound {
                most: milliseconds(1)?,
            }),
            code => Err(unknown_code(code)),
        }
    }
}
