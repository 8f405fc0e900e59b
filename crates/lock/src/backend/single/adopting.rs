//! Taking a lease over. It is a grant: in strict mode it waits for the gate like any other. A replica
//! that was promoted may still have a token that was taken over, or given back, on its master.

use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::Value;

use super::{Single, data_set, other_incarnation, unknown_code};
use crate::backend::{Adopting, Request};
use crate::fence::Fence;
use crate::redis::classify::Failure;
use crate::redis::link::Link;
use crate::redis::reply::{self, Unexpected};
use crate::redis::script::{ADOPT, Call};
use crate::token::{Token, owner_in};

impl Single {
    pub(crate) async fn adopt(&self, request: &Request, from: &Token) -> Result<Adopting, Failure> {
        let link = self.topology.link().map_err(Failure::not_applied)?;
        link.check_named().map_err(Failure::not_applied)?;
        let closed = |remaining| Adopting::GateClosed {
            remaining,
            epoch: link.epoch(),
        };
        // Twice: the first may find the gate of this incarnation unclaimed, the second passes it.
        for _ in 0..2 {
            let call = self.adoption(&link, request, from);
            let (reply, confirmed) = link.call_confirmed(call).await?;
            let answer = Answer::parse(&reply).map_err(|unexpected| link.unexpected(unexpected))?;
            return Ok(match answer {
                Answer::Adopted { syncs, .. } if !confirmed.by_followers_since(syncs) => {
                    match self.open_gate(&link).await? {
                        Some(Duration::ZERO) => continue,
                        _ => Adopting::NotReplicated(confirmed.by_nobody_else()),
                    }
                }
                Answer::Adopted { .. } if !confirmed.by_majority() => {
                    Adopting::NotReplicated(confirmed)
                }
                Answer::Adopted { fence, .. } => {
                    self.floor.fetch_max(fence.as_i64(), Ordering::Relaxed);
                    Adopting::Adopted {
                        fence,
                        data_set: data_set(&link),
                    }
                }
                Answer::Missing => Adopting::Missing,
                Answer::Stolen { by } => Adopting::Stolen { by },
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

    fn adoption(&self, link: &Link, request: &Request, from: &Token) -> Call {
        let call = self
            .call_of(&ADOPT)
            .keys(request.locks())
            .key(&request.keys.fence)
            .keys(self.gate(link))
            .argument(from.reveal())
            .argument(request.token.reveal())
            .argument(request.ttl.as_millis())
            .argument(self.floor.load(Ordering::Relaxed));
        if link.is_gated {
            call.argument(&link.incarnation.replication_id)
        } else {
            call
        }
    }
}

/// The reply of `adopt.lua`.
pub(super) enum Answer {
    Adopted { fence: Fence, syncs: i64 },
    Missing,
    Stolen { by: String },
    GateUnclaimed,
    OtherIncarnation,
    GateClosed(Duration),
}

impl Answer {
    pub(super) fn parse(reply: &Value) -> Result<Self, Unexpected> {
        let items = reply::array(reply)?;
        match reply::integer(reply::item(items, 0)?)? {
            1 => {
                let fence =
                    Fence::try_from(reply::integer(reply::item(items, 1)?)?).map_err(|error| {
                        Unexpected {
                            detail: error.to_string(),
                        }
                    })?;
                let syncs = reply::integer(reply::item(items, 2)?)?;
                Ok(Self::Adopted { fence, syncs })
            }
            0 => Ok(Self::Missing),
            -1 => {
                let by = owner_in(&reply::text(reply::item(items, 1)?)?);
                Ok(Self::Stolen { by })
            }
            -2 => Ok(Self::GateUnclaimed),
            -3 => Ok(Self::OtherIncarnation),
            -4 => {
                let left = reply::integer(reply::item(items, 1)?)?;
                let left = u64::try_from(left).unwrap_or_default();
                Ok(Self::GateClosed(Duration::from_millis(left)))
            }
            code => Err(unknown_code(code)),
        }
    }
}
