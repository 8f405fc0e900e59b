//! One instant of the modelled system.
//!
//! All times are *remaining* times and all fences are relative to the present, so time itself is unbounded. Incarnations carry no numbers: a gate's record either
//! names the present incarnation of some node or one that is over ([`PAST`]); both are all that a script can tell.
//! Nodes and clients are interchangeable, so [`State`] hashes in a canonical order of both: the checker counts states up
//! to renaming.

use std::hash::{Hash, Hasher};

/// Data nodes: one master and two replicas at first.
pub const NODES: usize = 3;
/// The most clients a configuration can have.
pub const MAX_CLIENTS: usize = 3;
/// The replicas (besides the master) that must have a write for a majority to have it.
pub const REPLICAS_FOR_MAJORITY: u32 = 1;

/// A set of nodes: all of them.
pub const EVERYONE: u8 = (1 << NODES) - 1;
/// Not a node, not a client: nobody.
pub const NOBODY: u8 = 7;
/// In a lock: the token of an attempt or a lease that its client has given up. In a gate: an incarnation that is over.
pub const PAST: u8 = 6;
/// In a write: a majority has it, the node it was sent to no longer matters.
pub const EVERYWHERE: u8 = 5;

/// The lock key of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The client whose present token the key holds, [`PAST`], or [`NOBODY`] if the key is absent.
    pub owner: u8,
    /// Ticks until the server lets the key expire.
    pub left: u8,
}

impl Lock {
    /// The key is absent.
    pub const FREE: Self = Self {
        owner: NOBODY,
        left: 0,
    };
}

/// What the gate's record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// There is no record, or it belongs to an incarnation that is over.
    None,
    /// Claimed, not yet confirmed.
    Pending,
    /// Claimed as a new deployment: opens at once when confirmed.
    PendingNew,
    /// `open_from` is written.
    Open,
    /// The same, and the record says `first`: claimed as a new deployment.
    OpenNew,
}

impl Phase {
    /// Claimed, and `open_from` is not written yet.
    #[must_use]
    pub fn is_pending(self) -> bool {
        matches!(self, Self::Pending | Self::PendingNew)
    }

    /// `open_from` is written.
    #[must_use]
    pub fn has_time(self) -> bool {
        matches!(self, Self::Open | Self::OpenNew)
    }

    /// The record says `first`.
    #[must_use]
    pub fn is_first(self) -> bool {
        matches!(self, Self::PendingNew | Self::OpenNew)
    }
}

/// The gate of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The node whose present incarnation the record names, [`PAST`], or [`NOBODY`] if there is no record.
    pub of: u8,
    /// What the record says.
    pub phase: Phase,
    /// Ticks until `open_from`.
    pub left: u8,
    /// The record says `resynced`: the gate had a time before, and was closed again.
    pub resynced: bool,
}

impl Gate {
    /// No record.
    pub const ABSENT: Self = Self {
        of: NOBODY,
        phase: Phase::None,
        left: 0,
        resynced: false,
    };
    /// The record of an incarnation that is over.
    pub const OF_THE_PAST: Self = Self {
        of: PAST,
        phase: Phase::None,
        left: 0,
        resynced: false,
    };
}

/// A data node: what it stores, and its place in the replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// The node it follows; itself while its role is master.
    pub upstream: u8,
    /// `master_replid2` is not all noughts: this server has been a replica in this life.
    pub was_replica: bool,
    /// The data set was flushed in this life.
    pub flushed: bool,
    /// Ticks since the start, up to the longest lease.
    pub uptime: u8,
    /// The lock key.
    pub lock: Lock,
    /// The gate's record.
    pub gate: Gate,
    /// One bit for each node that has copied this node's claim.
    pub claim_acks: u8,
    /// `sync_full` is not what the gate's record says any more.
    pub synced: bool,
    /// One bit for each master that would synchronise this node partially, itself included while it is one: all that
    /// the node has followed is that master's history, or older than that.
    pub partial: u8,
    /// The stored fence.
    pub fence: u8,
    /// How far this node's clock is ahead of the slowest one.
    pub clock: u8,
}

/// What a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    None,
    /// The confirmation of a first grant.
    Acquire,
    /// The confirmation of a renewal, or of a re-assertion.
    Renew,
}

/// A script that ran and that is not confirmed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// What it was.
    pub kind: Kind,
    /// The node it ran on; [`EVERYWHERE`] once a majority has it; [`NOBODY`] once it can no longer be confirmed.
    pub node: u8,
    /// One bit for each node that has copied it.
    pub acks: u8,
    /// Ticks until the deadline it would give: counted from sending.
    pub left: u8,
    /// The fence that the script handed out.
    pub fence: u8,
}

impl Write {
    /// Nothing is outstanding.
    pub const NONE: Self = Self {
        kind: Kind::None,
        node: NOBODY,
        acks: 0,
        left: 0,
        fence: 0,
    };

    /// A first grant that can no longer be confirmed. Its client may ask again with the same token, or let go.
    #[must_use]
    pub fn is_void(&self) -> bool {
        self.kind == Kind::Acquire && self.node == NOBODY
    }
}

/// A client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Ticks until its own deadline; nought: it holds nothing.
    pub lease: u8,
    /// The script that is not confirmed yet.
    pub write: Write,
    /// The greatest fence it has seen.
    pub floor: u8,
    /// The fence of its lease.
    pub fence: u8,
    /// Its lease was released by force; it does not know yet.
    pub broken: bool,
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
    /// The node that Sentinel calls master; [`NOBODY`] where no step depends on it.
    pub master: u8,
    /// Sentinel's epoch: the failovers so far.
    pub epoch: u8,
    /// Restarts so far.
    pub restarts: u8,
    /// Flushes so far.
    pub flushes: u8,
    /// Times that a lonely master dropped its replication backlog.
    pub expiries: u8,
    /// Grants in this tick; counted only where fences are.
    pub grants: u8,
    /// The greatest fence of all confirmed grants.
    pub top_fence: u8,
    /// A grant was confirmed whose fence was not greater than those before.
    pub fence_went_back: bool,
    /// A key that was removed by force was set again for the same lease.
    pub broken_lease_came_back: bool,
}

/// The next number, as long as it does not exceed the bound.
pub(super) fn below(count: u8, most: u8) -> Option<u8> {
    (count < most).then_some(count + 1)
}

/// Every order of the nodes.
const ORDERS: [[usize; NODES]; 6] = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
];

impl State {
    /// The node says that its role is master.
    #[must_use]
    pub fn serves(&self, node: usize) -> bool {
        usize::from(self.nodes[node].upstream) == node
    }

    /// The gate's record on `node` names the present incarnation and `open_from` has passed.
    #[must_use]
    pub fn gate_is_open(&self, node: usize) -> bool {
        let gate = self.nodes[node].gate;
        usize::from(gate.of) == node && gate.phase.has_time() && gate.left == 0
    }

    /// The gate of this incarnation was open, and has been closed again or flushed.
    #[must_use]
    pub fn gate_was_open(&self, node: usize) -> bool {
        let gate = self.nodes[node].gate;
        let is_flushed = gate.of == NOBODY && self.flushes > 0;
        (usize::from(gate.of) == node && gate.resynced) || is_flushed
    }

    /// How many clients hold a lease that is valid by their own clock and that nobody has broken.
    #[must_use]
    pub fn valid_leases(&self) -> usize {
        self.clients
            .iter()
            .filter(|client| client.lease > 0 && !client.broken)
            .count()
    }

    /// The clients that take part.
    pub fn crew(&self) -> std::ops::Range<usize> {
        0..usize::from(self.crew)
    }

    /// The state as words, with nodes and clients renamed so that the words are the least.
    fn canonical(&self) -> [u64; NODES + MAX_CLIENTS] {
        // What can be said of a node without names puts the nodes in order; only where it is the same for two of them
        // do both orders have to be tried.
        let traits: [u64; NODES] = std::array::from_fn(|name| self.nameless(name));
        let in_order = |order: &&[usize; NODES]| {
            let [first, second, third] = order.map(|node| traits[node]);
            match usize::from(self.master) {
                master if master < NODES => order[0] == master && second <= third,
                _ => first <= second && second <= third,
            }
        };
        ORDERS
            .iter()
            .filter(in_order)
            .map(|order| self.words(*order))
            .min()
            .unwrap_or_default()
    }

    /// A node without the names of nodes and clients.
    fn nameless(&self, name: usize) -> u64 {
        let node = &self.nodes[name];
        pack(&[
            (u8::from(self.serves(name)), 1),
            (node.lock.owner.max(MAX_CLIENTS as u8), 3),
            (node.lock.left, 3),
            (u8::from(usize::from(node.gate.of) == name), 1),
            (node.gate.phase as u8, 3),
            (node.gate.left, 3),
            (node.claim_acks.count_ones() as u8, 2),
            (node.partial.count_ones() as u8, 2),
            (u8::from(node.synced), 1),
            (node.fence, 8),
            (node.clock, 3),
            (node.uptime, 3),
            (u8::from(node.was_replica), 1),
            (u8::from(node.flushed), 1),
        ])
    }

    /// The state as words, with the nodes in the given order. What a client is and which nodes hold its key put the
    /// clients in order; clients alike in both are alike in everything.
    fn words(&self, order: [usize; NODES]) -> [u64; NODES + MAX_CLIENTS] {
        let nodes = names(order);
        let mut crew = [(0, 0, 0); MAX_CLIENTS];
        for (name, place) in (0..).zip(&mut crew) {
            let holds = |node: usize| u8::from(self.nodes[node].lock.owner == name);
            let keys = order.iter().fold(0, |keys, node| keys << 1 | holds(*node));
            *place = (
                client_word(&self.clients[usize::from(name)], &nodes),
                keys,
                usize::from(name),
            );
        }
        crew.sort_unstable();
        let clients = names(crew.map(|(_, _, name)| name));
        let mut words = [0; NODES + MAX_CLIENTS];
        for (word, node) in words.iter_mut().zip(order) {
            *word = node_word(&self.nodes[node], &nodes, &clients);
        }
        for (word, (client, _, _)) in words[NODES..].iter_mut().zip(crew) {
            *word = client;
        }
        words
    }
}

/// What each old name becomes; names that stand for no one stay as they are.
fn names(order: [usize; 3]) -> [u8; 8] {
    let mut names = [0, 1, 2, 3, 4, EVERYWHERE, PAST, NOBODY];
    for (new, old) in (0..).zip(order) {
        names[old] = new;
    }
    names
}

/// A set of nodes under their new names.
fn renamed(set: u8, names: &[u8; 8]) -> u8 {
    (0..NODES)
        .filter(|node| set & (1 << node) != 0)
        .fold(0, |all, node| all | 1 << names[node])
}

/// Packs fields into a word, each in as many bits as it is given.
fn pack(fields: &[(u8, u32)]) -> u64 {
    fields.iter().fold(0, |word, (value, bits)| {
        debug_assert!(
            u32::from(*value) < 1 << bits,
            "{value} does not fit in {bits} bits"
        );
        word << bits | u64::from(*value)
    })
}

fn node_word(node: &Node, nodes: &[u8; 8], clients: &[u8; 8]) -> u64 {
    pack(&[
        (nodes[usize::from(node.upstream)], 2),
        (u8::from(node.was_replica), 1),
        (u8::from(node.flushed), 1),
        (node.uptime, 3),
        (clients[usize::from(node.lock.owner)], 3),
        (node.lock.left, 3),
        (nodes[usize::from(node.gate.of)], 3),
        (node.gate.phase as u8, 3),
        (node.gate.left, 3),
        (u8::from(node.gate.resynced), 1),
        (renamed(node.claim_acks, nodes), 3),
        (u8::from(node.synced), 1),
        (renamed(node.partial, nodes), 3),
        (node.fence, 8),
        (node.clock, 3),
    ])
}

fn client_word(client: &Client, nodes: &[u8; 8]) -> u64 {
    pack(&[
        (client.lease, 3),
        (client.write.kind as u8, 2),
        (nodes[usize::from(client.write.node)], 3),
        (renamed(client.write.acks, nodes), 3),
        (client.write.left, 3),
        (client.write.fence, 8),
        (client.floor, 8),
        (client.fence, 8),
        (u8::from(client.broken), 1),
    ])
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        for word in self.canonical() {
            hasher.write_u64(word);
        }
        hasher.write_u64(pack(&[
            (u8::from(self.master == NOBODY), 1),
            (self.epoch, 8),
            (self.restarts, 8),
            (self.flushes, 8),
            (self.expiries, 8),
            (self.grants, 8),
            (self.top_fence, 8),
            (u8::from(self.fence_went_back), 1),
            (u8::from(self.broken_lease_came_back), 1),
        ]));
    }
}
