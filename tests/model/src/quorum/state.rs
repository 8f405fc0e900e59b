//! One instant of the quorum model: remaining times and relative fences, as in the strict model.

use std::hash::{Hash, Hasher};

/// Independent nodes.
pub const NODES: usize = 3;
/// The nodes that make a majority.
pub const MAJORITY: u32 = 2;
/// Clients, all of them after the same lock.
pub const CLIENTS: usize = 2;
/// In a lock: nobody.
pub const NOBODY: u8 = 7;
/// In a lock: a token that its client has given up.
pub const PAST: u8 = 6;

/// An independent node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// The client whose present token the key holds, [`PAST`] or [`NOBODY`].
    pub owner: u8,
    /// Ticks until the key expires.
    pub left: u8,
    /// The stored fence.
    pub fence: u8,
    /// Ticks until this node votes again, after a start with an empty memory.
    pub gate: u8,
}

/// How far a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It asks for nothing.
    Idle,
    /// Phase one: it asks all nodes.
    Asking,
    /// Phase two: a majority granted with fences that differ, and it writes the greatest back.
    Raising,
    /// It holds the lease and extends it.
    Extending,
}

/// A client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// How far it has come.
    pub phase: Phase,
    /// One bit for each node that has answered in this phase.
    pub answers: u8,
    /// Ticks until the deadline that this attempt would give.
    pub left: u8,
    /// The fence that it proposes.
    pub proposed: u8,
    /// One bit for each node that answered exactly that.
    pub agreed: u8,
    /// The greatest fence among the answers.
    pub fence: u8,
    /// How far its clock is ahead of the slowest one.
    pub clock: u8,
    /// Ticks until its own deadline; nought: it holds nothing.
    pub lease: u8,
}

impl Client {
    /// A client that asks for nothing.
    pub const IDLE: Self = Self {
        phase: Phase::Idle,
        answers: 0,
        left: 0,
        proposed: 0,
        agreed: 0,
        fence: 0,
        clock: 0,
        lease: 0,
    };

    /// The same client, holding its lease on and asking for nothing.
    #[must_use]
    pub fn with_lease(&self, lease: u8) -> Self {
        Self {
            lease,
            clock: self.clock,
            ..Self::IDLE
        }
    }
}

/// One instant of the modelled system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The nodes.
    pub nodes: [Node; NODES],
    /// The clients.
    pub clients: [Client; CLIENTS],
    /// Fences handed out by nodes in this tick.
    pub asks: u8,
    /// How often grants of other locks have raised a counter.
    pub others: u8,
    /// The greatest fence of all grants.
    pub top_fence: u8,
    /// A grant's fence was not greater than those before.
    pub fence_went_back: bool,
}

const NODE_ORDERS: [[usize; NODES]; 6] = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
];
const CLIENT_ORDERS: [[usize; CLIENTS]; 2] = [[0, 1], [1, 0]];

impl State {
    /// How many clients hold a lease that is valid by their own clock.
    #[must_use]
    pub fn valid_leases(&self) -> usize {
        self.clients
            .iter()
            .filter(|client| client.lease > 0)
            .count()
    }

    /// The state as words, in the given order of nodes and clients.
    fn words(&self, order: [usize; NODES], crew: [usize; CLIENTS]) -> [u64; NODES + CLIENTS] {
        let mut words = [0; NODES + CLIENTS];
        for (word, node) in words.iter_mut().zip(order) {
            let node = self.nodes[node];
            let name = |old: u8| {
                let place = crew.iter().position(|client| *client == usize::from(old));
                place.map_or(old, |place| place as u8)
            };
            let owner = name(node.owner);
            *word = u64::from_be_bytes([0, 0, 0, 0, owner, node.left, node.fence, node.gate]);
        }
        for (word, client) in words[NODES..].iter_mut().zip(crew) {
            let client = self.clients[client];
            let renamed = |set: u8| {
                let names = (0..).zip(order);
                names.fold(0, |all, (new, old)| all | ((set >> old) & 1) << new)
            };
            let fields = [
                client.clock,
                client.proposed,
                client.phase as u8,
                renamed(client.answers) << 4 | renamed(client.agreed),
                client.left,
                client.fence,
                client.lease,
                0,
            ];
            *word = u64::from_be_bytes(fields);
        }
        words
    }
}

impl Hash for State {
    /// In the least of all orders of nodes and clients, so that states are counted up to renaming.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let mut least = [u64::MAX; NODES + CLIENTS];
        for order in NODE_ORDERS {
            for crew in CLIENT_ORDERS {
                least = least.min(self.words(order, crew));
            }
        }
        for word in least {
            hasher.write_u64(word);
        }
        hasher.write(&[
            self.asks,
            self.others,
            self.top_fence,
            u8::from(self.fence_went_back),
        ]);
    }
}
