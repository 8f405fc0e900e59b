//! Taking a lease over. It is a grant: in strict mode it waits for the gate like any other. A replica
//! that was promoted may still have a token that was taken over, or given back, on its master.

use std::time::Duration;

use redis::Value;

use super::replies::{self, unknown_code};
use super::{Single, data_set, other_incarnation};
use crate::backend::{Adopting, Request};
use crate::fence::Fence;
use crate::redis::classify::Failure;
use crate::redis::link::Link;
use crate::redis::reply::{self, Unexpected};
use crate::redis::script::{ADOPT, Call};
use crate::token::{Token, owner_in};

impl Single {
    pub(crate) async fn adopt(&self, request: &Request, from: &Token) -> Result<Adopting, Failure> {
        let link = self.link_that_grants()?;
        let counter = self.counters.of(&request.keys.name);
        let closed = |remaining| Adopting::GateClosed {
            remaining,
            epoch: link.epoch(),
        };
        // Twice: the first may find the gate of this incarnation unclaimed, the second passes it.
        for _ in 0..2 {
            let call = self.adoption(&link, request, from, &counter);
            let (reply, confirmed) = link.call_confirmed(call).await?;
            let answer = Answer::parse(&reply).map_err(|unexpected| link.unexpected(unexpected))?;
            let is_void = confirmed.look.is_some_and(|look| !look.allows_grants());
            return Ok(match answer {
                Answer::Adopted { .. } if is_void => match self.open_gate(&link).await? {
                    Some(Duration::ZERO) => continue,
                    _ => Adopting::NotReplicated(confirmed.by_nobody_else()),
                },
                Answer::Adopted { .. } if !confirmed.by_majority() => {
                    Adopting::NotReplicated(confirmed)
                }
                Answer::Adopted { fence } => {
                    self.fences.raised(counter, link.reign(), fence);
                    Adopting::Adopted {
                        fence,
                        data_set: data_set(&link),
                    }
                }
                Answer::Missing => Adopting::Missing,
                Answer::Stolen { by } => Adopting::Stolen { by },
                Answer::AboveSharedBound { most } => Adopting::AboveSharedBound { most },
                Answer::GateClosed(remaining) => closed(Some(remaining)),
                Answer::OtherIncarnation => return Err(other_incarnation(&link)),
                Answer::GateUnclaimed => match self.open_gate(&link).await? {
                    Some(Duration::ZERO) => continue,
                    remaining => closed(remaining),
                },
            });
        }
        Ok(closed(None))
    }

    fn adoption(&self, link: &Link, request: &Request, from: &Token, counter: &str) -> Call {
        let call = self
            .call_of(&ADOPT)
            .keys(request.locks())
            .key(counter)
            .keys(&link.gate)
            .argument(from.reveal())
            .argument(request.token.reveal())
            .argument(request.ttl.as_millis())
            .argument(self.fences.floor(counter))
            .argument(link.reign_id());
        if link.gate.is_some() {
            call.argument(&link.incarnation.replication_id)
        } else {
            call
        }
    }
}

/// The reply of `adopt.lua`.
pub(super) enum Answer {
    Adopted { fence: Fence },
    Missing,
    Stolen { by: String },
    GateUnclaimed,
    OtherIncarnation,
    GateClosed(Duration),
    AboveSharedBound { most: Duration },
}

impl Answer {
    pub(super) fn parse(reply: &Value) -> Result<Self, Unexpected> {
        let items = reply::array(reply)?;
        let number = |at| reply::integer(reply::item(items, at)?);
        let milliseconds = |at| -> Result<_, Unexpected> {
            Ok(replies::remaining(number(at)?).unwrap_or_default())
        };
        match number(0)? {
            1 => Ok(Self::Adopted {
                fence: replies::fence(number(1)?)?,
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
