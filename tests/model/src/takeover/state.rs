//! One instant of the modelled system: what each node stores, and of which history it is.
//!
//! Histories have identifiers (`master_replid`), which are compared for equality only. How far a log reaches is kept as
//! the exact relation "this node's log is no prefix of that node's", so the number of writes is unbounded.

/// Data nodes: one master and two replicas at first.
pub const NODES: usize = 3;
/// The most clients a configuration can have.
pub const MAX_CLIENTS: usize = 3;
/// The set of all nodes.
pub const EVERYONE: u8 = (1 << NODES) - 1;
/// Not a node, not a client.
pub const NOBODY: u8 = 7;
/// In a lock: a token that its client has given up.
pub const PAST: u8 = 6;
/// No history: `master_replid2` is noughts, or a record is absent.
pub const NO_ID: u8 = 15;

/// The lock key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The client whose present token the key holds, [`PAST`] or [`NOBODY`].
    pub owner: u8,
    /// Ticks until it expires by this node's clock.
    pub left: u8,
    /// The fence of the grant that the token stands for. No script can read it.
    pub fence: u8,
}

impl Lock {
    /// The key is absent.
    pub const FREE: Self = Self {
        owner: NOBODY,
        left: 0,
        fence: 0,
    };
}

/// How far the gate of a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// There is no record.
    None,
    /// Claimed.
    Pending,
    /// Claimed, and may be opened without a pause.
    PendingFast,
    /// Claimed as a new deployment: opens once the server's life has lasted one longest lease.
    PendingFirst,
    /// `open_from` is written.
    Open,
}

impl Phase {
    /// Claimed, and `open_from` is not written.
    #[must_use]
    pub fn is_pending(self) -> bool {
        matches!(self, Self::Pending | Self::PendingFast | Self::PendingFirst)
    }
}

/// The gate's record, and the companion that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The history that it names.
    pub of: u8,
    /// How far the gate is.
    pub phase: Phase,
    /// Ticks until `open_from`.
    pub left: u8,
    /// The gate was open on this incarnation before it was claimed anew.
    pub resynced: bool,
    /// Sentinel's epoch at the claim.
    pub epoch: u8,
    /// Ticks in which grants are held back.
    pub hold: u8,
    /// For how many ticks each grant is held back meanwhile, where that is measured.
    pub wait: u8,
    /// The clock of the node that claimed, where it is measured.
    pub clock: u8,
    /// The fence counter as the claim found it.
    pub fence_at: u8,
    /// The companion: the greatest fence that a renewal, or a forced release, left on the lock; nought: none.
    pub known: u8,
}

impl Record {
    /// No record.
    pub const ABSENT: Self = Self {
        of: NO_ID,
        phase: Phase::None,
        left: 0,
        resynced: false,
        epoch: 0,
        hold: 0,
        wait: 0,
        clock: 0,
        fence_at: 0,
        known: 0,
    };

    /// The gate is open now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open && self.left == 0
    }

    /// The gate is open, or has been open under this record's incarnation.
    #[must_use]
    pub fn was_open(&self) -> bool {
        self.is_open() || self.resynced
    }
}

/// A data node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// The node it follows; itself while its role is master.
    pub upstream: u8,
    /// `master_replid`.
    pub id: u8,
    /// `master_replid2`.
    pub id2: u8,
    /// Nodes of whose logs this node's is no prefix.
    pub beyond: u8,
    /// Ticks since the start, up to the longest lease.
    pub uptime: u8,
    /// How far this node's clock is ahead of the slowest one.
    pub clock: u8,
    /// The data set was flushed in this life.
    pub flushed: bool,
    /// The lock key.
    pub lock: Lock,
    /// The gate's record.
    pub gate: Record,
    /// The fence counter.
    pub counter: u8,
    /// Nodes that have copied the present claim.
    pub claim_acks: u8,
    /// Nodes of which the evidence for the present claim was read.
    pub seen: u8,
    /// `sync_full` is not what the record says.
    pub synced: bool,
    /// Epochs at which the Sentinels named this node, asked after `sync_full` last grew.
    pub views: u8,
    /// Epochs at which the Sentinels named this node in this incarnation.
    pub named: u8,
}

/// What a node had on disk at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Whose it is.
    pub node: u8,
    /// Its history.
    pub id: u8,
    /// The lock.
    pub lock: Lock,
    /// The record.
    pub gate: Record,
    /// The fence counter.
    pub counter: u8,
    /// Nodes of whose logs it is no prefix.
    pub beyond: u8,
    /// Nodes whose logs are no prefix of it.
    pub behind: u8,
}

/// What a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    None,
    /// The confirmation of a grant.
    Acquire,
    /// The confirmation of a renewal.
    Renew,
}

/// A write that is not confirmed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// What it was.
    pub kind: Kind,
    /// The node it ran on; [`NOBODY`] once it can no longer count.
    pub node: u8,
    /// Nodes that have copied it.
    pub acks: u8,
    /// Ticks until the deadline it would give: counted from sending.
    pub left: u8,
    /// The fence that was handed out.
    pub fence: u8,
    /// It renews a lease that had been handed over in another history.
    pub again: bool,
    /// Ticks for which it is held back for the clocks, counted from when it ran.
    pub held: u8,
    /// It was written once more after that.
    pub rewritten: bool,
}

impl Write {
    /// Nothing is outstanding.
    pub const NONE: Self = Self {
        kind: Kind::None,
        node: NOBODY,
        acks: 0,
        left: 0,
        fence: 0,
        again: false,
        held: 0,
        rewritten: false,
    };

    /// It can no longer count.
    pub(super) fn void(&mut self) {
        (self.node, self.acks) = (NOBODY, 0);
        (self.held, self.rewritten) = (0, false);
    }
}

/// A client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Ticks until its own deadline; nought: it holds nothing.
    pub lease: u8,
    /// The write that is not confirmed yet.
    pub write: Write,
    /// The fence of its lease.
    pub fence: u8,
    /// The history in which its lease was handed over, or released by force: it is no holder any more. [`NO_ID`]: it is.
    pub revoked_on: u8,
    /// It was handed over, by a ticket that it had issued.
    pub handed_over: bool,
}

/// One instant of the modelled system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The data nodes.
    pub nodes: [Node; NODES],
    /// The clients; only the first `crew` take part.
    pub clients: [Client; MAX_CLIENTS],
    /// How many clients take part.
    pub crew: u8,
    /// The node that the Sentinels name.
    pub master: u8,
    /// Sentinel's epoch: the failovers so far.
    pub epoch: u8,
    /// Restarts so far.
    pub restarts: u8,
    /// Flushes so far.
    pub flushes: u8,
    /// Backlogs dropped so far.
    pub expiries: u8,
    /// Snapshots written so far.
    pub saves: u8,
    /// The last one.
    pub snapshot: Option<Snapshot>,
    /// Grants so far, where fences are counted.
    pub grants: u8,
    /// The greatest fence of all counted grants.
    pub top_fence: u8,
    /// A grant counted whose fence was not greater than those before.
    pub fence_went_back: bool,
    /// A holder was refused its renewal in favour of an older grant, or lost its key to one.
    pub robbed: bool,
    /// A revoked lease got its key back in the history in which it was revoked.
    pub revoked_came_back: bool,
}

/// The set of this one node.
pub(super) fn bit(node: u8) -> u8 {
    1 << node
}

/// The next number, as long as it does not exceed the bound.
pub(super) fn below(count: u8, most: u8) -> Option<u8> {
    (count < most).then_some(count + 1)
}

impl State {
    /// The node.
    #[must_use]
    pub fn node(&self, name: u8) -> &Node {
        &self.nodes[usize::from(name)]
    }

    pub(super) fn node_mut(&mut self, name: u8) -> &mut Node {
        &mut self.nodes[usize::from(name)]
    }

    /// The client.
    #[must_use]
    pub fn client(&self, name: u8) -> &Client {
        &self.clients[usize::from(name)]
    }

    pub(super) fn client_mut(&mut self, name: u8) -> &mut Client {
        &mut self.clients[usize::from(name)]
    }

    /// The node says that its role is master.
    #[must_use]
    pub fn serves(&self, name: u8) -> bool {
        self.node(name).upstream == name
    }

    /// The record on the node names the node's present incarnation.
    #[must_use]
    pub fn has_own_record(&self, name: u8) -> bool {
        let node = self.node(name);
        self.serves(name) && node.gate.of == node.id
    }

    /// How many clients hold a lease that is valid by their own clock and that nobody has taken away.
    #[must_use]
    pub fn valid_leases(&self) -> usize {
        self.clients
            .iter()
            .filter(|client| client.lease > 0 && client.revoked_on == NO_ID)
            .count()
    }

    /// Every other node.
    pub(super) fn others(name: u8) -> impl Iterator<Item = u8> {
        (0..NODES as u8).filter(move |other| *other != name)
    }

    /// An identifier that nothing bears.
    pub(super) fn new_id(&self) -> u8 {
        let of_nodes = self
            .nodes
            .iter()
            .flat_map(|node| [node.id, node.id2, node.gate.of]);
        let of_snapshot = self
            .snapshot
            .iter()
            .flat_map(|saved| [saved.id, saved.gate.of]);
        let of_clients = self.clients.iter().map(|client| client.revoked_on);
        let ids = of_nodes.chain(of_snapshot).chain(of_clients);
        let used = ids.fold(0u16, |used, id| used | 1 << id);
        (0..NO_ID).find(|id| used & 1 << id == 0).unwrap_or(NO_ID)
    }
}
