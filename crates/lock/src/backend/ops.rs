//! What a store is asked for, and how it went: types only.

use std::sync::Arc;
use std::time::Duration;

use crate::fence::Fence;
use crate::master::confirm::Confirmed;
use crate::protocol::keys::Keys;
use crate::token::Token;

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
    /// What every member of a quorum is asked for alike.
    pub(crate) proposal: Option<Proposal>,
}

/// What the members of a quorum are asked for, so that they agree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proposal {
    /// The fence, unless a member has granted that one or a greater one already.
    pub(crate) fence: Fence,
    /// When the client arrived, in µs: its place in the queue.
    pub(crate) arrival: i64,
}

impl Request {
    /// The locks that the token may hold.
    pub(crate) fn locks(&self) -> &[Arc<str>] {
        self.keys.locks_of(self.slot)
    }
}

/// How a grant went.
#[derive(Debug, Clone)]
pub(crate) enum GrantOutcome {
    Granted {
        fence: Fence,
        slot: usize,
        data_set: DataSet,
    },
    Refused(Refusal),
}

/// Why a lock was not granted.
#[derive(Debug, Clone)]
pub(crate) enum Refusal {
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

/// How a renewal went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RenewOutcome {
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

/// How an adoption went.
#[derive(Debug, Clone)]
pub(crate) enum AdoptOutcome {
    Adopted {
        fence: Fence,
        data_set: DataSet,
    },
    Missing,
    Stolen {
        by: String,
    },
    /// The store gave the lock back to the token of the ticket, if it had taken it.
    Refused(Refusal),
}

/// How a release went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReleaseOutcome {
    Released,
    Missing { data_set: DataSet },
    Stolen { by: String },
}

impl ReleaseOutcome {
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

/// One step of a scan: what was found, and where to go on, 0 at the end.
#[derive(Debug, Clone)]
pub(crate) struct Scanned {
    pub(crate) found: Vec<Found>,
    pub(crate) next: u64,
}

/// How a forced release went.
#[derive(Debug, Clone)]
pub(crate) enum ForceOutcome {
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
