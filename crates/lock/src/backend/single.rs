//! Locks on one master: a standalone Redis, or the one that Sentinel names.

mod adopting;
mod looking;
mod operator;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::Value;
use tokio_util::task::AbortOnDropHandle;

use super::{DataSet, Granting, Holding, Releasing, Renewing, Request};
use crate::fence::Fence;
use crate::redis::classify::Failure;
use crate::redis::confirm::Confirmed;
use crate::redis::gate::{self, Gate};
use crate::redis::invocation::{Acquire, GatePass, Release};
use crate::redis::link::Link;
use crate::redis::reply::{self, Unexpected};
use crate::redis::script::{Call, INSPECT, LEAVE, RAISE_FENCE, RENEW, Script};
use crate::redis::topology::Topology;
use crate::redis::waiter::Waiter;
use crate::resource::Keys;
use crate::token::owner_in;
use crate::unavailable::{Cause, Unavailable};

/// The backend over one master.
pub(crate) struct Single {
    topology: Arc<Topology>,
    waiter: Waiter,
    gate_key: Arc<str>,
    longest_lease: Duration,
    /// The greatest fence seen by this locker on any resource: no later one may be smaller.
    floor: Arc<AtomicI64>,
    /// Whether keys are asked for that the node is only importing.
    is_asking: bool,
    _gatekeeper: Option<AbortOnDropHandle<()>>,
}

impl Single {
    pub(crate) fn new(
        topology: Topology,
        waiter: Waiter,
        key_prefix: &str,
        longest_lease: Duration,
    ) -> Self {
        let gate_key: Arc<str> = crate::resource::gate(key_prefix).into();
        let gatekeeper = gate::attend(topology.watch(), gate_key.clone(), longest_lease);
        Self {
            topology: Arc::new(topology),
            waiter,
            gate_key,
            longest_lease,
            floor: Arc::default(),
            is_asking: false,
            _gatekeeper: Some(AbortOnDropHandle::new(tokio::spawn(gatekeeper))),
        }
    }

    /// The same node, asked for keys that it is only importing.
    pub(crate) fn asking(&self) -> Self {
        Self {
            topology: self.topology.clone(),
            waiter: self.waiter.clone(),
            gate_key: self.gate_key.clone(),
            longest_lease: self.longest_lease,
            floor: self.floor.clone(),
            is_asking: true,
            _gatekeeper: None,
        }
    }

    pub(crate) fn topology(&self) -> &Topology {
        &self.topology
    }

    fn call_of(&self, script: &'static LazyLock<Script>) -> Call {
        Call::new(script).asking(self.is_asking)
    }

    pub(crate) fn calls_waiters(&self) -> bool {
        self.topology.link().is_ok_and(|link| link.hears_calls)
    }

    pub(crate) async fn grant(&self, request: &Request) -> Result<Granting, Failure> {
        let link = self.topology.link().map_err(Failure::not_applied)?;
        link.check_named().map_err(Failure::not_applied)?;
        // Twice: the first may find the gate of this incarnation unclaimed, the second passes it.
        for _ in 0..2 {
            let (reply, confirmed) = link.call_confirmed(self.acquire(&link, request)).await?;
            match Acquired::parse(&reply).map_err(|unexpected| link.unexpected(unexpected))? {
                Acquired::Granted { syncs, .. } if !confirmed.by_followers_since(syncs) => {
                    // The token has the lock already: where the gate stays open, it is asked again.
                    let remaining = match self.open_gate(&link).await? {
                        Some(Duration::ZERO) => continue,
                        remaining => remaining,
                    };
                    return Ok(Granting::Resynced {
                        remaining,
                        epoch: link.epoch(),
                    });
                }
                Acquired::Granted { fence, slot, .. } if confirmed.by_majority() => {
                    self.floor.fetch_max(fence.as_i64(), Ordering::Relaxed);
                    return Ok(Granting::Granted {
                        fence,
                        slot: request.slot.unwrap_or(slot),
                        data_set: data_set(&link),
                    });
                }
                Acquired::Granted { .. } => return Ok(Granting::NotReplicated(confirmed)),
                Acquired::Held {
                    owner,
                    mut remaining,
                    before,
                    foreign,
                } => {
                    if foreign
                        && request.waits
                        && link.sees_changes
                        && link.read_and_watch(&request.keys.locks).await?
                    {
                        remaining = Some(Duration::ZERO);
                    }
                    return Ok(Granting::Held {
                        owner,
                        remaining,
                        before,
                    });
                }
                Acquired::GateClosed(remaining) => {
                    return Ok(Granting::GateClosed {
                        remaining: Some(remaining),
                        epoch: link.epoch(),
                    });
                }
                Acquired::AboveSharedBound { most } => {
                    return Ok(Granting::AboveSharedBound { most });
                }
                Acquired::OtherIncarnation => return Err(other_incarnation(&link)),
                Acquired::GateUnclaimed => match self.open_gate(&link).await? {
                    Some(Duration::ZERO) => {}
                    remaining => return Ok(closed(&link, remaining)),
                },
            }
        }
        Ok(closed(&link, None))
    }

    /// How long the gate stays closed; `None` as long as its claim is not confirmed.
    async fn open_gate(&self, link: &Link) -> Result<Option<Duration>, Failure> {
        match gate::open(link, &self.gate_key, self.longest_lease).await? {
            Gate::OpenIn(remaining) => Ok(Some(remaining)),
            Gate::Unconfirmed => Ok(None),
            Gate::OtherIncarnation => Err(other_incarnation(link)),
        }
    }

    pub(crate) async fn renew(&self, request: &Request, fence: Fence) -> Result<Renewing, Failure> {
        let link = self.topology.link().map_err(Failure::not_applied)?;
        let mut call = self
            .call_of(&RENEW)
            .keys(request.locks())
            .key(&request.keys.fence)
            .keys(self.gate(&link))
            .argument(request.token.reveal())
            .argument(request.ttl.as_millis())
            .argument(fence);
        if link.is_gated {
            call = call.argument(&link.incarnation.replication_id);
        }
        let (reply, confirmed) = link.call_confirmed(call).await?;
        let answer = Coded::parse(&reply).map_err(|unexpected| link.unexpected(unexpected))?;
        match answer {
            Coded {
                code: code @ (1 | 2),
                ..
            } => Ok(renewed(&link, confirmed, code == 2)),
            Coded { code: 0, .. } => Ok(Renewing::Missing {
                data_set: data_set(&link),
            }),
            Coded { code: -1, holder } => Ok(Renewing::Stolen {
                by: owner_in(&holder),
            }),
            Coded { code: -3, .. } => Err(other_incarnation(&link)),
            Coded { code, .. } => Err(link.unexpected(unknown_code(code))),
        }
    }

    /// Writes back the fence of a quorum grant; `false` if the lock is not held by the token.
    pub(crate) async fn raise_fence(
        &self,
        request: &Request,
        fence: Fence,
    ) -> Result<bool, Failure> {
        let link = self.topology.link().map_err(Failure::not_applied)?;
        let call = self
            .call_of(&RAISE_FENCE)
            .keys(request.locks())
            .key(&request.keys.fence)
            .argument(request.token.reveal())
            .argument(fence);
        let reply = link.call(call).await?;
        self.floor.fetch_max(fence.as_i64(), Ordering::Relaxed);
        let answer = Coded::parse(&reply).map_err(|unexpected| link.unexpected(unexpected))?;
        Ok(answer.code == 1)
    }

    pub(crate) async fn release(&self, request: &Request) -> Result<Releasing, Failure> {
        let link = self.topology.link().map_err(Failure::not_applied)?;
        let reply = link.call(self.releasing(request)).await?;
        released(&link, &reply)
    }

    /// Releases what may still be on its way to be granted.
    pub(crate) async fn take_back(&self, request: &Request) -> Result<Releasing, Failure> {
        let link = self.topology.link().map_err(Failure::not_applied)?;
        let reply = link.call_behind_grants(self.releasing(request)).await?;
        released(&link, &reply)
    }

    fn releasing(&self, request: &Request) -> Release {
        Release {
            keys: request.keys.clone(),
            slot: request.slot,
            token: request.token.clone(),
            is_asking: self.is_asking,
        }
    }

    pub(crate) async fn leave(&self, keys: &Keys) -> Result<(), Failure> {
        let link = self.topology.link().map_err(Failure::not_applied)?;
        let call = self
            .call_of(&LEAVE)
            .key(&keys.queue)
            .key(&keys.alive)
            .argument(self.waiter.id())
            .argument(&keys.name);
        link.call_behind_grants(call).await.map(|_| ())
    }

    pub(crate) async fn inspect(&self, keys: &Keys) -> Result<Vec<Option<Holding>>, Failure> {
        let link = self.topology.link().map_err(Failure::not_applied)?;
        let call = self
            .call_of(&INSPECT)
            .key(&keys.fence)
            .key(&keys.queue)
            .keys(&keys.locks);
        let reply = link.call(call).await?;
        let is_slots = keys.locks.first() != Some(&keys.name);
        looking::inspected(&reply, keys.locks.len(), is_slots)
            .map_err(|unexpected| link.unexpected(unexpected))
    }

    fn acquire(&self, link: &Link, request: &Request) -> Acquire {
        let gate = link.is_gated.then(|| GatePass {
            key: self.gate_key.clone(),
            incarnation: link.incarnation.replication_id.clone(),
        });
        // Who cannot be called has no place in the queue, where it would only hold up others.
        let waits = request.waits && link.hears_calls;
        Acquire {
            keys: request.keys.clone(),
            slot: request.slot,
            token: request.token.clone(),
            ttl: request.ttl,
            floor: self.floor.load(Ordering::Relaxed),
            gate,
            waiter: waits.then(|| self.waiter.clone()),
            is_asking: self.is_asking,
        }
    }

    /// The gate's key, where grants pass one.
    fn gate(&self, link: &Link) -> Option<&str> {
        link.is_gated.then_some(&*self.gate_key)
    }
}

fn data_set(link: &Link) -> DataSet {
    DataSet {
        incarnation: link.incarnation.replication_id.clone(),
        epoch: link.epoch(),
    }
}

fn released(link: &Link, reply: &Value) -> Result<Releasing, Failure> {
    let answer = Coded::parse(reply).map_err(|unexpected| link.unexpected(unexpected))?;
    match answer {
        Coded { code: 1, .. } => Ok(Releasing::Released),
        Coded { code: 0, .. } => Ok(Releasing::Missing {
            data_set: data_set(link),
        }),
        Coded { code: -1, holder } => Ok(Releasing::Stolen {
            by: owner_in(&holder),
        }),
        Coded { code, .. } => Err(link.unexpected(unknown_code(code))),
    }
}

fn closed(link: &Link, remaining: Option<Duration>) -> Granting {
    Granting::GateClosed {
        remaining,
        epoch: link.epoch(),
    }
}

fn renewed(link: &Link, confirmed: Confirmed, reasserted: bool) -> Renewing {
    if confirmed.by_majority() {
        Renewing::Renewed {
            data_set: data_set(link),
            reasserted,
        }
    } else {
        Renewing::NotReplicated {
            confirmed,
            reasserted,
        }
    }
}

/// The node lives another life than the link was made for: the link ends, and with it all doubt.
fn other_incarnation(link: &Link) -> Failure {
    link.ending().end(Cause::NotMasterYet);
    Failure::not_applied(Unavailable::on(link.node(), Cause::NotMasterYet))
}

/// The reply of `acquire.lua`.
enum Acquired {
    Granted {
        fence: Fence,
        slot: usize,
        syncs: i64,
    },
    Held {
        owner: Option<String>,
        remaining: Option<Duration>,
        before: Option<u32>,
        foreign: bool,
    },
    GateClosed(Duration),
    GateUnclaimed,
    OtherIncarnation,
    AboveSharedBound {
        most: Duration,
    },
}

impl Acquired {
    fn parse(reply: &Value) -> Result<Self, Unexpected> {
        let items = reply::array(reply)?;
        let number = |at| reply::integer(reply::item(items, at)?);
        let milliseconds = |at| -> Result<Duration, Unexpected> {
            Ok(Duration::from_millis(
                u64::try_from(number(at)?).unwrap_or_default(),
            ))
        };
        match number(0)? {
            1 => {
                let fence = Fence::try_from(number(1)?).map_err(|error| Unexpected {
                    detail: error.to_string(),
                })?;
                let slot = usize::try_from(number(2)?).map_err(|error| Unexpected {
                    detail: error.to_string(),
                })?;
                let syncs = number(3)?;
                Ok(Self::Granted { fence, slot, syncs })
            }
            0 => Ok(Self::Held {
                owner: Some(match reply::text(reply::item(items, 2)?)?.as_str() {
                    "" => "the next in its queue".to_owned(),
                    token => owner_in(token),
                }),
                remaining: remaining(number(1)?),
                before: u32::try_from(number(3)?).ok(),
                foreign: number(4)? == 1,
            }),
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

/// A reply that begins with a code and may name the holder.
struct Coded {
    code: i64,
    holder: String,
}

impl Coded {
    fn parse(reply: &Value) -> Result<Self, Unexpected> {
        let items = reply::array(reply)?;
        let code = reply::integer(reply::item(items, 0)?)?;
        let holder = items
            .get(1)
            .map(reply::text)
            .transpose()?
            .unwrap_or_default();
        Ok(Self { code, holder })
    }
}

/// `PTTL` in milliseconds: a lock without an expiry has none.
fn remaining(pttl: i64) -> Option<Duration> {
    u64::try_from(pttl).ok().map(Duration::from_millis)
}

fn unknown_code(code: i64) -> Unexpected {
    Unexpected {
        detail: format!("unknown reply code {code}"),
    }
}

/// Everything that is made of a script's reply, for fuzzing: what could not be made of it.
#[cfg(feature = "fuzzing")]
pub(crate) fn read_all(reply: &Value) -> Vec<Unexpected> {
    let names = || vec!["a".to_owned(), "b:1".to_owned()];
    let _ = looking::found(names(), reply::array(reply).unwrap_or_default());
    let errors = [
        Acquired::parse(reply).err(),
        Coded::parse(reply).err(),
        adopting::Answer::parse(reply).err(),
        operator::forced(reply).err(),
        operator::scanned(reply).err(),
        looking::inspected(reply, 1, false).err(),
        looking::inspected(reply, 3, true).err(),
    ];
    errors.into_iter().flatten().collect()
}
