//! The few operations that a lock needs, over each kind of store. A closed set, so an enum.

pub(crate) mod cluster;
pub(crate) mod connect;
pub(crate) mod memory;
pub(crate) mod noop;
pub(crate) mod ops;
pub(crate) mod quorum;
pub(crate) mod single;

use tokio::sync::watch;

use self::memory::Memory;
use self::ops::{
    AdoptOutcome, DataSet, ForceOutcome, GrantOutcome, Holding, ReleaseOutcome, RenewOutcome,
    Request, Scanned,
};
use crate::fence::Fence;
use crate::master::gate::GateState;
use crate::master::state::State;
use crate::protocol::keys::Keys;
use crate::token::Token;
use crate::transport::server_errors::Failure;

/// Where leases are kept.
pub(crate) enum Backend {
    /// Nowhere: everything is granted.
    Noop(noop::Noop),
    /// In this process.
    Memory(Memory),
    /// On one master, fixed or found through Sentinel.
    Single(single::Single),
    /// On a majority of independent masters.
    Quorum(quorum::Quorum),
    /// In a Redis Cluster.
    Cluster(Box<cluster::Cluster>),
}

impl Backend {
    /// Grants a lock to a token unless another holds it. Asking again with the same token is safe.
    pub(crate) async fn grant(&self, request: &Request) -> Result<GrantOutcome, Failure> {
        match self {
            Self::Noop(noop) => Ok(noop.grant()),
            Self::Memory(memory) => memory.ask(request, Memory::grant).await,
            Self::Single(single) => single.grant(request).await,
            Self::Quorum(quorum) => quorum.grant(request).await,
            Self::Cluster(cluster) => Box::pin(cluster.grant(request)).await,
        }
    }

    /// Extends a held lock by its TTL from now on. `is_over` tells whether the lease was released or lost
    /// meanwhile.
    pub(crate) async fn renew(
        &self,
        request: &Request,
        fence: Fence,
        is_over: impl Fn() -> bool + Clone + Send + Sync + 'static,
    ) -> Result<RenewOutcome, Failure> {
        match self {
            Self::Noop(_) => Ok(RenewOutcome::Renewed {
                data_set: DataSet::local(),
                reasserted: false,
                is_gate_closed: false,
            }),
            Self::Memory(memory) => memory.ask(request, Memory::renew).await,
            Self::Single(single) => single.renew(request, fence).await,
            Self::Quorum(quorum) => quorum.renew(request, fence, is_over).await,
            Self::Cluster(cluster) => cluster.renew(request, fence).await,
        }
    }

    /// Hands a held lock over from the token `from` to that of the request.
    pub(crate) async fn adopt(
        &self,
        request: &Request,
        from: &Token,
    ) -> Result<AdoptOutcome, Failure> {
        match self {
            Self::Noop(noop) => Ok(noop.adopt()),
            Self::Memory(memory) => {
                let from = from.clone();
                let adopt = move |memory: &Memory, request: &Request| memory.adopt(request, &from);
                memory.ask(request, adopt).await
            }
            Self::Single(single) => single.adopt(request, from).await,
            Self::Quorum(quorum) => quorum.adopt(request, from).await,
            Self::Cluster(cluster) => Box::pin(cluster.adopt(request, from)).await,
        }
    }

    /// Deletes a lock if the token still holds it.
    pub(crate) async fn release(&self, request: &Request) -> Result<ReleaseOutcome, Failure> {
        match self {
            Self::Noop(_) => Ok(ReleaseOutcome::Released),
            Self::Memory(memory) => memory.ask(request, Memory::release).await,
            Self::Single(single) => single.release(request).await,
            Self::Quorum(quorum) => quorum.release(request).await,
            Self::Cluster(cluster) => Box::pin(cluster.release(request)).await,
        }
    }

    /// As [`Backend::release`], for what may still be on its way to be granted.
    pub(crate) async fn take_back(&self, request: &Request) -> Result<(), Failure> {
        match self {
            Self::Noop(_) => Ok(()),
            Self::Memory(memory) => memory.ask(request, Memory::release).await.map(drop),
            Self::Single(single) => single.take_back(request).await.map(drop),
            Self::Quorum(quorum) => quorum.take_back(request).await,
            // It sends grants and releases over one connection.
            Self::Cluster(cluster) => cluster.release(request).await.map(drop),
        }
    }

    /// Gives up a place in the queue.
    pub(crate) async fn leave(&self, keys: &Keys) -> Result<(), Failure> {
        match self {
            Self::Noop(_) | Self::Memory(_) => Ok(()),
            Self::Single(single) => single.leave(keys).await,
            Self::Quorum(quorum) => quorum.leave(keys).await,
            Self::Cluster(cluster) => cluster.leave(keys).await,
        }
    }

    /// Whether the store notifies waiters. If not, the code that frees a lock in this process notifies
    /// the next one here.
    pub(crate) fn store_notifies_waiters(&self, keys: &Keys) -> bool {
        match self {
            Self::Noop(_) | Self::Memory(_) => false,
            Self::Single(single) => single.store_notifies_waiters(),
            Self::Quorum(quorum) => quorum.store_notifies_waiters(),
            Self::Cluster(cluster) => cluster.store_notifies_waiters(keys),
        }
    }

    /// Reads who holds each of the locks, without touching them.
    pub(crate) async fn inspect(&self, keys: &Keys) -> Result<Vec<Option<Holding>>, Failure> {
        match self {
            Self::Noop(_) => Ok(vec![None; keys.locks.len()]),
            Self::Memory(memory) => memory.inspect(keys),
            Self::Single(single) => single.inspect(keys).await,
            Self::Quorum(quorum) => quorum.inspect(keys).await,
            Self::Cluster(cluster) => cluster.inspect(keys).await,
        }
    }

    /// One step through the locks whose keys match a glob. Locks in memory have no operator.
    pub(crate) async fn scan(&self, pattern: &str, cursor: u64) -> Result<Scanned, Failure> {
        match self {
            Self::Noop(_) | Self::Memory(_) => Ok(Scanned {
                found: Vec::new(),
                next: 0,
            }),
            Self::Single(single) => single.scan(pattern, cursor).await,
            Self::Quorum(quorum) => quorum.scan(pattern, cursor).await,
            Self::Cluster(cluster) => cluster.scan(pattern, cursor).await,
        }
    }

    /// Takes a lock from the holder with this id.
    pub(crate) async fn force_release(
        &self,
        keys: &Keys,
        id: &str,
    ) -> Result<ForceOutcome, Failure> {
        match self {
            Self::Noop(_) | Self::Memory(_) => Ok(ForceOutcome::Missing),
            Self::Single(single) => single.force_release(keys, id).await,
            Self::Quorum(quorum) => quorum.force_release(keys, id).await,
            Self::Cluster(cluster) => cluster.force_release(keys, id).await,
        }
    }

    /// Follows the master; `None` where there is none to follow.
    pub(crate) fn topology(&self) -> Option<watch::Receiver<State>> {
        match self {
            Self::Noop(_) | Self::Memory(_) | Self::Quorum(_) | Self::Cluster(_) => None,
            Self::Single(single) => Some(single.topology().watch()),
        }
    }

    /// How the gate of strict mode stands.
    pub(crate) fn gate_state(&self) -> GateState {
        match self {
            Self::Noop(_) | Self::Memory(_) | Self::Quorum(_) | Self::Cluster(_) => {
                GateState::Unknown
            }
            Self::Single(single) => single.gate_state(),
        }
    }

    /// Why nothing can be asked at present, if so.
    pub(crate) fn outage(&self) -> Option<crate::unavailable::Unavailable> {
        match self {
            Self::Noop(_) | Self::Memory(_) | Self::Cluster(_) => None,
            Self::Single(single) => single.topology().link().err(),
            Self::Quorum(quorum) => quorum.outage(),
        }
    }
}
