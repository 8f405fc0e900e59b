//! Locks on one master: a standalone Redis, or the one that Sentinel names.

mod acquiring;
mod adopting;
mod contended;
mod holding;
mod looking;
mod modes;
mod operator;
mod replies;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::Value;
use tokio_util::task::AbortOnDropHandle;

use self::contended::Contended;
pub(crate) use self::modes::Modes;
use self::replies::{Coded, ReleaseReply, unknown_code};
use crate::backend::ops::{DataSet, Holding, ReleaseOutcome, RenewOutcome, Request};
use crate::fence::Fence;
use crate::master::confirm::Confirmed;
use crate::master::gate::{Gate, GateSettings, GateState, Gatekeeper};
use crate::master::link::Link;
use crate::master::topology::Topology;
use crate::protocol::fences::{Counters, SeenFences};
use crate::protocol::keys::Keys;
use crate::protocol::script::{INSPECT, LEAVE, RAISE_FENCE, RELEASE, RENEW, Script, ScriptCall};
use crate::protocol::waiter::Waiter;
use crate::token::owner_in;
use crate::transport::server_errors::Failure;
use crate::unavailable::{Cause, Unavailable};

/// The backend over one master.
#[derive(Clone)]
pub(crate) struct Single {
    topology: Arc<Topology>,
    waiter: Waiter,
    gatekeeper: Arc<Gatekeeper>,
    counters: Counters,
    fences: Arc<SeenFences>,
    contended: Arc<Contended>,
    /// `None` in a Redis Cluster, which has no gates.
    modes: Option<Arc<Modes>>,
    /// Whether keys are asked for that the node is only importing.
    is_asking: bool,
    /// Ends the gatekeeper's task.
    _attending: Arc<AbortOnDropHandle<()>>,
}

impl Single {
    pub(crate) fn new(
        topology: Topology,
        waiter: Waiter,
        counters: Counters,
        modes: Option<Modes>,
        gate: GateSettings,
    ) -> Self {
        let gatekeeper = Gatekeeper::new(gate);
        let attending = tokio::spawn(gatekeeper.clone().attend(topology.watch()));
        Self {
            topology: Arc::new(topology),
            waiter,
            gatekeeper,
            counters,
            fences: Arc::default(),
            contended: Arc::default(),
            modes: modes.map(Arc::new),
            is_asking: false,
            _attending: Arc::new(AbortOnDropHandle::new(attending)),
        }
    }

    /// How the gate stands.
    pub(crate) fn gate_state(&self) -> GateState {
        self.gatekeeper.state()
    }

    /// The same node, asked for keys that it is only importing.
    pub(crate) fn asking(&self) -> Self {
        Self {
            is_asking: true,
            ..self.clone()
        }
    }

    pub(crate) fn topology(&self) -> &Topology {
        &self.topology
    }

    fn call_of(&self, script: &'static LazyLock<Script>) -> ScriptCall {
        ScriptCall::new(script).asking(self.is_asking)
    }

    fn link(&self) -> Result<Arc<Link>, Failure> {
        self.topology.link().map_err(Failure::not_applied)
    }

    /// The link, where the Sentinels have named its master recently enough to grant.
    fn link_that_grants(&self) -> Result<Arc<Link>, Failure> {
        let link = self.link()?;
        link.check_named().map_err(Failure::not_applied)?;
        Ok(link)
    }

    pub(crate) fn store_notifies_waiters(&self) -> bool {
        self.topology.link().is_ok_and(|link| link.receives_wakeups)
    }

    /// How long the gate stays closed; `None` as long as its claim is not confirmed.
    async fn open_gate(&self, link: &Link) -> Result<Option<Duration>, Failure> {
        // Boxed: it is rare, and its future is large.
        match Box::pin(self.gatekeeper.open(link)).await? {
            Gate::OpenIn(remaining) => Ok(Some(remaining)),
            Gate::Unconfirmed => Ok(None),
            Gate::OtherIncarnation => Err(other_incarnation(link)),
        }
    }

    pub(crate) async fn renew(
        &self,
        request: &Request,
        fence: Fence,
    ) -> Result<RenewOutcome, Failure> {
        let link = self.link()?;
        let (mut answer, mut confirmed) = self.renew_once(&link, request, fence).await?;
        if !counts(&answer, confirmed) {
            // Claimed, the gate vouches for those who confirm from now on.
            self.open_gate(&link).await?;
            (answer, confirmed) = self.renew_once(&link, request, fence).await?;
        }
        match answer.code {
            -3 => Err(other_incarnation(&link)),
            code => {
                let renewal = renewal(&answer, confirmed, data_set(&link));
                link.read(renewal.ok_or_else(|| unknown_code(code)))
            }
        }
    }

    async fn renew_once(
        &self,
        link: &Link,
        request: &Request,
        fence: Fence,
    ) -> Result<(Coded, Confirmed), Failure> {
        let mut call = self.call_of(&RENEW).keys(request.locks());
        // One key alone where there is no gate: a slot of a Redis Cluster may be on its way.
        if let Some(gate) = &link.gate {
            call = call.key(&gate.record).key(&gate.renewed);
        }
        call = call
            .argument(request.token.reveal())
            .argument(request.ttl.as_millis())
            .argument(fence);
        if link.gate.is_some() {
            call = call.argument(&link.incarnation.replication_id);
        }
        let (reply, confirmed) = link.call_confirmed(call).await?;
        let answer = link.read(Coded::parse(&reply))?;
        Ok((answer, confirmed))
    }

    /// Writes back the fence of a quorum grant; `false` if the lock is not held by the token.
    pub(crate) async fn raise_fence(
        &self,
        request: &Request,
        fence: Fence,
    ) -> Result<bool, Failure> {
        let link = self.link()?;
        let counter = self.counters.of(&request.keys.name);
        let call = self
            .call_of(&RAISE_FENCE)
            .keys(request.locks())
            .key(&counter)
            .argument(request.token.reveal())
            .argument(fence);
        let reply = link.call(call).await?;
        self.fences.seen(&counter, fence);
        let answer = link.read(Coded::parse(&reply))?;
        Ok(answer.code == 1)
    }

    pub(crate) async fn release(&self, request: &Request) -> Result<ReleaseOutcome, Failure> {
        let link = self.link()?;
        let reply = link.call(self.releasing(request)).await?;
        self.released(&link, request, &reply)
    }

    /// Releases what may still be on its way to be granted.
    pub(crate) async fn take_back(&self, request: &Request) -> Result<ReleaseOutcome, Failure> {
        let link = self.link()?;
        let reply = link.call_behind_grants(self.releasing(request)).await?;
        self.released(&link, request, &reply)
    }

    fn releasing(&self, request: &Request) -> ScriptCall {
        self.call_of(&RELEASE)
            .key(&request.keys.queue())
            .key(&request.keys.alive())
            .keys(request.locks())
            .argument(request.token.reveal())
            .argument(&request.keys.name)
            .argument(request.slot.unwrap_or_default())
    }

    fn released(
        &self,
        link: &Link,
        request: &Request,
        reply: &Value,
    ) -> Result<ReleaseOutcome, Failure> {
        let answer = link.read(ReleaseReply::parse(reply))?;
        match answer {
            ReleaseReply::Alone => self.contended.remove(&request.keys.name),
            ReleaseReply::Awaited => self.contended.insert(&request.keys.name),
            ReleaseReply::Missing => {
                return Ok(ReleaseOutcome::Missing {
                    data_set: data_set(link),
                });
            }
            ReleaseReply::Stolen { by } => return Ok(ReleaseOutcome::Stolen { by }),
        }
        Ok(ReleaseOutcome::Released)
    }

    pub(crate) async fn leave(&self, keys: &Keys) -> Result<(), Failure> {
        let link = self.link()?;
        let call = self
            .call_of(&LEAVE)
            .key(&keys.queue())
            .key(&keys.alive())
            .argument(self.waiter.id_in(keys))
            .argument(&keys.name);
        link.call_behind_grants(call).await.map(|_| ())
    }

    pub(crate) async fn inspect(&self, keys: &Keys) -> Result<Vec<Option<Holding>>, Failure> {
        let link = self.link()?;
        let call = self.call_of(&INSPECT).key(&keys.queue()).keys(&keys.locks);
        let reply = link.call(call).await?;
        link.read(looking::inspected(&reply, keys.locks.len()))
    }
}

fn data_set(link: &Link) -> DataSet {
    DataSet {
        incarnation: link.incarnation.replication_id.clone(),
        epoch: link.epoch(),
    }
}

/// What a renewal came to; `None` where its code says nothing of the lease.
fn renewal(answer: &Coded, confirmed: Confirmed, data_set: DataSet) -> Option<RenewOutcome> {
    let reasserted = answer.code == 2;
    Some(match answer.code {
        1 | 2 if !counts(answer, confirmed) => RenewOutcome::NotReplicated {
            confirmed: confirmed.by_nobody_else(),
            reasserted,
        },
        1 | 2 if !confirmed.by_majority() => RenewOutcome::NotReplicated {
            confirmed,
            reasserted,
        },
        1 | 2 => RenewOutcome::Renewed {
            data_set,
            reasserted,
            is_gate_closed: (confirmed.look).is_some_and(|look| look.open_claim().is_none()),
        },
        0 => RenewOutcome::Missing { data_set },
        -1 => RenewOutcome::Stolen {
            by: owner_in(&answer.holder),
        },
        -2 => RenewOutcome::NotReplicated {
            confirmed: confirmed.by_nobody_else(),
            reasserted: false,
        },
        _ => return None,
    })
}

/// Whether a renewal was made under the claim of the gate that its confirmation found.
fn counts(answer: &Coded, confirmed: Confirmed) -> bool {
    match answer.code {
        1 | 2 => (confirmed.look).is_none_or(|look| look.allows_renewals(answer.claim)),
        code => code != -2,
    }
}

/// The node lives another life than the link was made for: the link ends, and with it all doubt.
fn other_incarnation(link: &Link) -> Failure {
    link.close_signal().end(Cause::NotMasterYet);
    Failure::not_applied(Unavailable::on(link.node(), Cause::NotMasterYet))
}

/// Everything that is made of a script's reply, for fuzzing: what could not be made of it.
#[cfg(feature = "fuzzing")]
pub(crate) fn read_all(reply: &Value) -> Vec<crate::protocol::reply::Unexpected> {
    use crate::master::look::Look;

    let names = || vec!["a".to_owned(), "b:1".to_owned()];
    let _ = looking::found(
        names(),
        crate::protocol::reply::array(reply).unwrap_or_default(),
    );
    let errors = [
        replies::Acquired::parse(reply).err(),
        Coded::parse(reply).err(),
        ReleaseReply::parse(reply).err(),
        Look::parse(reply, "life").err(),
        adopting::AdoptReply::parse(reply).err(),
        operator::forced(reply).err(),
        operator::scanned(reply).err(),
        looking::inspected(reply, 1).err(),
        looking::inspected(reply, 3).err(),
    ];
    errors.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
