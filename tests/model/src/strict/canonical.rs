//! Nodes and clients are interchangeable, so a state hashes in a canonical order of both: the checker counts states up to
//! renaming.

use std::hash::{Hash, Hasher};

use super::state::{Client, EVERYWHERE, MAX_CLIENTS, NOBODY, NODES, Node, PAST, State};

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
