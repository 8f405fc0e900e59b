//! Locks in a Redis Cluster: each on the master that serves its hash slot.
//!
//! Every master that is needed has a link of its own, supervised like a standalone one. Where a slot
//! lives is asked anew when a node says `MOVED`, and when a master cannot be used. There is no gate:
//! a failover of the cluster can lose a lock, as in relaxed mode; fences increase all the same.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use leasehold_config::{AddressMap, Endpoint};
use tokio::time::Instant;

use super::single::Single;
use crate::backend::ops::{
    AdoptOutcome, ForceOutcome, GrantOutcome, Holding, ReleaseOutcome, RenewOutcome, Request,
    Scanned,
};
use crate::fence::Fence;
use crate::master::gate::GateSettings;
use crate::master::source::Source;
use crate::master::supervision::Supervision;
use crate::master::topology::Topology;
use crate::protocol::fences::Counters;
use crate::protocol::keys::Keys;
use crate::protocol::slots::{self, SlotMap, slot_of};
use crate::protocol::waiter::Waiter;
use crate::protocol::wakeups::Calls;
use crate::sync::Mutex;
use crate::token::Token;
use crate::transport::connection::ConnectionSettings;
use crate::transport::server_errors::Failure;
use crate::unavailable::{Cause, Part, Unavailable};

/// Redirections that one operation follows.
const REDIRECTIONS: usize = 4;
/// The slots are asked for no more often than this.
const REFRESH_PAUSE: Duration = Duration::from_millis(100);
/// A list goes through the masters one by one: the upper bits of its cursor say which.
const CURSOR_BITS: u32 = 48;

/// The backend over a Redis Cluster.
pub(crate) struct Cluster {
    parts: ClusterParts,
    map: Mutex<Arc<SlotMap>>,
    masters: Mutex<HashMap<Endpoint, Arc<Single>>>,
    refreshed: tokio::sync::Mutex<Option<Instant>>,
}

/// What a cluster's links are made of.
pub(crate) struct ClusterParts {
    pub(crate) seeds: Vec<Endpoint>,
    pub(crate) address_map: AddressMap,
    pub(crate) settings: ConnectionSettings,
    pub(crate) waiter: Waiter,
    pub(crate) calls: Calls,
    pub(crate) key_prefix: String,
    /// Unused as long as clusters have no gates.
    pub(crate) gate: GateSettings,
}

impl Cluster {
    /// Asks the seeds for the slots. Masters are connected to when they are needed.
    pub(crate) async fn connect(parts: ClusterParts) -> Result<Self, Unavailable> {
        let map = slots::fetch(&parts.seeds, &parts.settings, &parts.address_map).await?;
        Ok(Self {
            parts,
            map: Mutex::new(Arc::new(map)),
            masters: Mutex::default(),
            refreshed: tokio::sync::Mutex::new(Some(Instant::now())),
        })
    }

    pub(crate) fn store_notifies_waiters(&self, keys: &Keys) -> bool {
        let master = self.map().master_of(slot_of(&keys.name)).cloned();
        let single = master.and_then(|master| self.masters.lock().get(&master).cloned());
        single.is_some_and(|single| single.store_notifies_waiters())
    }

    pub(crate) async fn grant(&self, request: &Request) -> Result<GrantOutcome, Failure> {
        check_slots(&request.keys)?;
        self.at(&request.keys, |single| {
            let request = request.clone();
            async move { single.grant(&request).await }
        })
        .await
    }

    pub(crate) async fn renew(
        &self,
        request: &Request,
        fence: Fence,
    ) -> Result<RenewOutcome, Failure> {
        self.at(&request.keys, |single| {
            let request = request.clone();
            async move { single.renew(&request, fence).await }
        })
        .await
    }

    pub(crate) async fn adopt(
        &self,
        request: &Request,
        from: &Token,
    ) -> Result<AdoptOutcome, Failure> {
        self.at(&request.keys, |single| {
            let (request, from) = (request.clone(), from.clone());
            async move { single.adopt(&request, &from).await }
        })
        .await
    }

    pub(crate) async fn release(&self, request: &Request) -> Result<ReleaseOutcome, Failure> {
        self.at(&request.keys, |single| {
            let request = request.clone();
            async move { single.release(&request).await }
        })
        .await
    }

    pub(crate) async fn leave(&self, keys: &Keys) -> Result<(), Failure> {
        self.at(keys, |single| {
            let keys = keys.clone();
            async move { single.leave(&keys).await }
        })
        .await
    }

    pub(crate) async fn inspect(&self, keys: &Keys) -> Result<Vec<Option<Holding>>, Failure> {
        check_slots(keys)?;
        self.at(keys, |single| {
            let keys = keys.clone();
            async move { single.inspect(&keys).await }
        })
        .await
    }

    pub(crate) async fn force_release(
        &self,
        keys: &Keys,
        id: &str,
    ) -> Result<ForceOutcome, Failure> {
        self.at(keys, |single| {
            let (keys, id) = (keys.clone(), id.to_owned());
            async move { single.force_release(&keys, &id).await }
        })
        .await
    }

    /// One step through the locks of one master after the other.
    pub(crate) async fn scan(&self, pattern: &str, cursor: u64) -> Result<Scanned, Failure> {
        let (number, inner) = (cursor >> CURSOR_BITS, cursor & ((1 << CURSOR_BITS) - 1));
        let masters = self.map().masters();
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let Some(master) = masters.get(number) else {
            return Ok(Scanned {
                found: Vec::new(),
                next: 0,
            });
        };
        let mut scanned = self.single(master).await?.scan(pattern, inner).await?;
        let next = if scanned.next == 0 {
            number + 1
        } else {
            number
        };
        let is_last = next == masters.len();
        scanned.next = if is_last {
            0
        } else {
            ((next as u64) << CURSOR_BITS) | scanned.next
        };
        Ok(scanned)
    }

    /// Asks the master of the keys' slot, and follows it where it has gone.
    async fn at<T, F>(
        &self,
        keys: &Keys,
        operation: impl Fn(Arc<Single>) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let slot = slot_of(&keys.name);
        for _ in 0..REDIRECTIONS {
            let Some(master) = self.map().master_of(slot).cloned() else {
                self.refresh().await;
                return Err(Failure::not_applied(Unavailable::new(Cause::ClusterDown)));
            };
            let failure = match operation(self.single(&master).await?).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            match failure.unavailable.cause() {
                Cause::Moved { to } => {
                    let to = self.parts.address_map.map(to);
                    self.refresh().await;
                    // Not every node knows of it yet; the one that said so does.
                    if self.map().master_of(slot) != Some(&to) {
                        self.set_map(self.map().moved(slot, to));
                    }
                }
                Cause::Ask { to } => {
                    let importing = self.single(&self.parts.address_map.map(to)).await?;
                    return operation(Arc::new(importing.asking())).await;
                }
                cause if cause.is_about_the_node() => {
                    self.refresh().await;
                    return Err(failure);
                }
                _ => return Err(failure),
            }
        }
        Err(Failure::not_applied(Unavailable::new(Cause::ClusterDown)))
    }

    /// The link to a master, connected now if it was not needed before.
    async fn single(&self, master: &Endpoint) -> Result<Arc<Single>, Failure> {
        let single = self
            .masters
            .lock()
            .entry(master.clone())
            .or_insert_with(|| self.start(master))
            .clone();
        let connected = single.topology().first_attempt().await;
        if let Err(unavailable) = connected {
            self.refresh().await;
            return Err(Failure::not_applied(unavailable));
        }
        Ok(single)
    }

    fn start(&self, master: &Endpoint) -> Arc<Single> {
        let ClusterParts {
            settings,
            waiter,
            calls,
            key_prefix,
            gate,
            ..
        } = &self.parts;
        let supervision = Supervision {
            settings: settings.clone(),
            confirms: false,
            gate: None,
            calls: calls.clone(),
        };
        let topology = Topology::start(
            Source::Fixed(master.clone(), Part::ClusterNode),
            supervision,
        );
        Arc::new(Single::new(
            topology,
            waiter.clone(),
            Counters::by_slot(key_prefix),
            None,
            gate.clone(),
        ))
    }

    /// Asks all known nodes for the slots, unless that was done a moment ago. Links to nodes that are
    /// no masters any more end.
    async fn refresh(&self) {
        let mut refreshed = self.refreshed.lock().await;
        if refreshed.is_some_and(|at| at.elapsed() < REFRESH_PAUSE) {
            return;
        }
        let mut nodes = self.map().masters();
        nodes.extend(self.parts.seeds.iter().cloned());
        nodes.sort_unstable();
        nodes.dedup();
        match slots::fetch(&nodes, &self.parts.settings, &self.parts.address_map).await {
            Ok(map) => {
                let masters = map.masters();
                self.masters
                    .lock()
                    .retain(|master, _| masters.contains(master));
                self.set_map(map);
            }
            Err(unavailable) => tracing::debug!(%unavailable, "the slots are unknown"),
        }
        *refreshed = Some(Instant::now());
    }

    fn map(&self) -> Arc<SlotMap> {
        self.map.lock().clone()
    }

    fn set_map(&self, map: SlotMap) {
        *self.map.lock() = Arc::new(map);
    }
}

/// All slots of a resource must live on one node, which only a hash tag in its name ensures.
fn check_slots(keys: &Keys) -> Result<(), Failure> {
    let slot = slot_of(&keys.name);
    if keys.locks.iter().all(|lock| slot_of(lock) == slot) {
        return Ok(());
    }
    Err(Failure::not_applied(Unavailable::new(Cause::CrossSlot)))
}
