//! The few operations that a lock needs, over each kind of store. A closed set, so an enum.

pub(crate) mod cluster;
pub(crate) mod memory;
pub(crate) mod noop;
pub(crate) mod quorum;
pub(crate) mod single;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::fence::Fence;
use crate::redis::classify::Failure;
use crate::redis::confirm::Confirmed;
use crate::redis::gate::GateState;
use crate::redis::topology::State;
use crate::resource::Keys;
use crate::token::Token;

/// Where leases are kept.
pub(crate) enum Backend {
    /// Nowhere: everything is granted.
    Noop(noop::Noop),
    /// In this process.
    Memory(memory::Memory),
    /// On one master, fixed or found through Sentinel.
    Single(single::Single),
    /// On a majority of independent masters.
    Quorum(quorum::Quorum),
    /// In a Redis Cluster.
    Cluster(Box<cluster::Cluster>),
}

/// A lease asked for.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) keys: Arc<Keys>,
    pub(crate) token: Token,
    pub(crate) ttl: Duration,
    /// Which of the locks was granted, once that is known.
    pub(crate) slot: Option<usize>,
    /// Whether its caller will wait if the lock is held, and so enters the queue.
    pub(crate) waits: bool,
    /// Whether its token was sent before, in an attempt whose reply never came.
    pub(crate) is_repeated: bool,
}

impl Request {
    /// The locks that the token may hold.
    pub(crate) fn locks(&self) -> &[Arc<str>] {
        self.keys.locks_of(self.slot)
    }
}

/// The answer to [`Backend::grant`].
#[derive(Debug, Clone)]
pub(crate) enum Granting {
    Granted {
        fence: Fence,
        slot: usize,
        data_set: DataSet,
    },
    Held {
        owner: Option<String>,
        remaining: Option<Duration>,
        /// Waiters before this one, if it entered the queue.
        before: Option<u32>,
    },
    GateClosed {
        remaining: Option<Duration>,
        epoch: u64,
    },
    NotReplicated(Confirmed),
    /// A replica brought a history of its own: the gate closes again, and the grant is void.
    Resynced {
        remaining: Option<Duration>,
        epoch: u64,
    },
    NoQuorum {
        granted: usize,
        members: usize,
        nodes: String,
    },
    AboveSharedBound {
        most: Duration,
    },
}

/// The answer to [`Backend::renew`].
#[derive(Debug, Clone)]
pub(crate) enum Renewing {
    Renewed {
        data_set: DataSet,
        /// Whether the key had been missing and was written again.
        reasserted: bool,
        /// Whether nobody may be granted anything at present, because of the gate.
        is_gate_closed: bool,
    },
    Missing {
        data_set: DataSet,
    },
    Stolen {
        by: String,
    },
    NotReplicated {
        confirmed: Confirmed,
        reasserted: bool,
    },
}

/// The answer to [`Backend::adopt`].
#[derive(Debug, Clone)]
pub(crate) enum Adopting {
    Adopted {
        fence: Fence,
        data_set: DataSet,
    },
    Missing,
    Stolen {
        by: String,
    },
    NotReplicated(Confirmed),
    GateClosed {
        remaining: Option<Duration>,
        epoch: u64,
    },
    AboveSharedBound {
        most: Duration,
    },
}

/// The answer to [`Backend::release`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Releasing {
    Released,
    Missing { data_set: DataSet },
    Stolen { by: String },
}

impl Releasing {
    /// Missing where there is but one life of the data.
    pub(crate) fn missing() -> Self {
        Self::Missing {
            data_set: DataSet::local(),
        }
    }
}

/// Who holds a lock now.
#[derive(Debug, Clone)]
pub(crate) struct Holding {
    pub(crate) owner: Option<String>,
    pub(crate) remaining: Option<Duration>,
    /// Since the grant, by the holder's clock, where that can be told.
    pub(crate) held_for: Option<Duration>,
    /// Processes in the queue.
    pub(crate) waiters: Option<u64>,
    /// Tells this holding from every other without giving the token away.
    pub(crate) id: Option<String>,
}

/// A key that a scan came by.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) name: String,
    /// Which slot of the resource `name`, if its key is that of a slot.
    pub(crate) slot: Option<usize>,
    pub(crate) holding: Holding,
    /// Whether it is surely a lock, and not just any string.
    pub(crate) is_lock: bool,
}

/// The answer to [`Backend::scan`]: what was found, and where to go on, 0 at the end.
#[derive(Debug, Clone)]
pub(crate) struct Scanned {
    pub(crate) found: Vec<Found>,
    pub(crate) next: u64,
}

/// The answer to [`Backend::force_release`].
#[derive(Debug, Clone)]
pub(crate) enum Forcing {
    Taken {
        from: String,
        fence: Fence,
    },
    /// Taken, but on too few data nodes: a failover may undo it.
    NotReplicated(Confirmed),
    Missing,
    HeldByAnother {
        by: String,
    },
}

/// The incarnation that answered, and Sentinel's configuration epoch of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataSet {
    pub(crate) incarnation: Arc<str>,
    pub(crate) epoch: u64,
}

impl DataSet {
    pub(crate) fn local() -> Self {
        Self {
            incarnation: Arc::from(""),
            epoch: 0,
        }
    }
}

impl Backend {
    /// Grants a lock to a token unless another holds it. Asking again with the same token is safe.
    pub(crate) async fn grant(&self, request: &Request) -> Result<Granting, Failure> {
        match self {
            Self::Noop(noop) => Ok(noop.grant()),
            Self::Memory(memory) => memory.grant(request),
            Self::Single(single) => single.grant(request).await,
            Self::Quorum(quorum) => quorum.grant(request).await,
            Self::Cluster(cluster) => cluster.grant(request).await,
        }
    }

    /// Extends a held lock by its TTL from now on. `is_over` tells whether the lease was released or lost
    /// meanwhile.
    pub(crate) async fn renew(
        &self,
        request: &Request,
        fence: Fence,
        is_over: impl Fn() -> bool + Clone + Send + Sync + 'static,
    ) -> Result<Renewing, Failure> {
        match self {
            Self::Noop(_) => Ok(Renewing::Renewed {
                data_set: DataSet::local(),
                reasserted: false,
                is_gate_closed: false,
            }),
            Self::Memory(memory) => memory.renew(request),
            Self::Single(single) => single.renew(request, fence).await,
            Self::Quorum(quorum) => quorum.renew(request, fence, is_over).await,
            Self::Cluster(cluster) => cluster.renew(request, fence).await,
        }
    }

    /// Hands a held lock over from the token `from` to that of the request.
    pub(crate) async fn adopt(&self, request: &Request, from: &Token) -> Result<Adopting, Failure> {
        match self {
            Self::Noop(noop) => Ok(noop.adopt()),
            Self::Memory(memory) => memory.adopt(request, from),
            Self::Single(single) => single.adopt(request, from).await,
            Self::Quorum(quorum) => quorum.adopt(request, from).await,
            Self::Cluster(cluster) => cluster.adopt(request, from).await,
        }
    }

    /// Deletes a lock if the token still holds it.
    pub(crate) async fn release(&self, request: &Request) -> Result<Releasing, Failure> {
        match self {
            Self::Noop(_) => Ok(Releasing::Released),
            Self::Memory(memory) => memory.release(request),
            Self::Single(single) => single.release(request).await,
            Self::Quorum(quorum) => quorum.release(request).await,
            Self::Cluster(cluster) => cluster.release(request).await,
        }
    }

    /// As [`Backend::release`], for what may still be on its way to be granted.
    pub(crate) async fn take_back(&self, request: &Request) -> Result<(), Failure> {
        match self {
            Self::Noop(_) => Ok(()),
            Self::Memory(memory) => memory.release(request).map(drop),
            Self::Single(single) => single.take_back(request).await.map(drop),
            Self::Quorum(quorum) => quorum.take_back(request).await,
            // It sends grants and releases over one connection.
            Self::Cluster(cluster) => cluster.release(request).await.map(drop),
        }
    }

    /// Gives up a place in the queue.
    pub(crate) async fn leave(&self, keys: &Keys) -> Result<(), Failure> {
        match self {
            Self::Noop(_) | Self::Memory(_) | Self::Quorum(_) => Ok(()),
            Self::Single(single) => single.leave(keys).await,
            Self::Cluster(cluster) => cluster.leave(keys).await,
        }
    }

    /// Whether waiters are called by the store; if not, whoever frees a lock in this process calls
    /// the next one here.
    pub(crate) fn calls_waiters(&self, keys: &Keys) -> bool {
        match self {
            Self::Noop(_) | Self::Memory(_) | Self::Quorum(_) => false,
            Self::Single(single) => single.calls_waiters(),
            Self::Cluster(cluster) => cluster.calls_waiters(keys),
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
    pub(crate) async fn force_release(&self, keys: &Keys, id: &str) -> Result<Forcing, Failure> {
        match self {
            Self::Noop(_) | Self::Memory(_) => Ok(Forcing::Missing),
            Self::Single(single) => single.force_release(keys, id).await,
            Self::Quorum(quorum) => quorum.force_release(keys, id).await,
            Self::Cluster(cluster) => cluster.force_release(keys, id).await,
        }
    }

    pub(crate) fn is_quorum(&self) -> bool {
        matches!(self, Self::Quorum(_))
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
