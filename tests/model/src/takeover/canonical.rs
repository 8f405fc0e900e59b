//! States are counted up to the names of nodes, clients and histories.

use std::hash::{Hash, Hasher};

use super::state::{Client, MAX_CLIENTS, NO_ID, NOBODY, NODES, Node, PAST, Record, State};

/// Every order of three.
const ORDERS: [[usize; 3]; 6] = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
];

/// New names in the order in which they are met.
struct Names {
    ids: [u8; 16],
    next: u8,
    nodes: [u8; 8],
    clients: [u8; 8],
}

impl Names {
    fn new(nodes: [usize; 3], clients: [usize; 3]) -> Self {
        let names = |order: [usize; 3]| {
            let mut names = [0, 1, 2, 3, 4, 5, PAST, NOBODY];
            for (new, old) in (0..).zip(order) {
                names[old] = new;
            }
            names
        };
        Self {
            ids: [NO_ID; 16],
            next: 0,
            nodes: names(nodes),
            clients: names(clients),
        }
    }

    fn id(&mut self, id: u8) -> u8 {
        if id == NO_ID {
            return NO_ID;
        }
        let name = &mut self.ids[usize::from(id)];
        if *name == NO_ID {
            *name = self.next;
            self.next += 1;
        }
        *name
    }

    fn node(&self, node: u8) -> u8 {
        self.nodes[usize::from(node)]
    }

    fn client(&self, client: u8) -> u8 {
        self.clients[usize::from(client)]
    }

    fn set(&self, set: u8) -> u8 {
        (0..NODES)
            .filter(|node| set & (1 << node) != 0)
            .fold(0, |all, node| all | 1 << self.nodes[node])
    }
}

/// Packs fields into a word, each in as many bits as it is given.
fn pack(fields: &[(u8, u32)]) -> u128 {
    fields.iter().fold(0, |word, (value, bits)| {
        debug_assert!(
            u32::from(*value) < 1 << bits,
            "{value} does not fit in {bits} bits"
        );
        word << bits | u128::from(*value)
    })
}

fn record_word(gate: &Record, names: &mut Names) -> u128 {
    pack(&[
        (names.id(gate.of), 4),
        (gate.phase as u8, 3),
        (gate.left, 3),
        (u8::from(gate.resynced), 1),
        (gate.epoch, 3),
        (gate.hold, 3),
        (gate.wait, 2),
        (gate.clock, 2),
        (gate.fence_at, 4),
        (gate.known, 4),
    ])
}

fn node_words(node: &Node, names: &mut Names) -> [u128; 2] {
    let place = pack(&[
        (names.node(node.upstream), 2),
        (names.id(node.id), 4),
        (names.id(node.id2), 4),
        (names.set(node.beyond), 3),
        (node.uptime, 3),
        (node.clock, 2),
        (u8::from(node.flushed), 1),
        (names.client(node.lock.owner), 3),
        (node.lock.left, 3),
        (node.lock.fence, 4),
        (node.counter, 4),
        (names.set(node.claim_acks), 3),
        (names.set(node.seen), 3),
        (u8::from(node.synced), 1),
        (node.views, 5),
        (node.named, 5),
    ]);
    [place, record_word(&node.gate, names)]
}

fn client_word(client: &Client, names: &mut Names) -> u128 {
    pack(&[
        (client.lease, 3),
        (client.write.kind as u8, 2),
        (names.node(client.write.node), 3),
        (names.set(client.write.acks), 3),
        (client.write.left, 3),
        (client.write.fence, 4),
        (u8::from(client.write.again), 1),
        (client.write.held, 2),
        (u8::from(client.write.rewritten), 1),
        (client.fence, 4),
        (names.id(client.revoked_on), 4),
        (u8::from(client.handed_over), 1),
    ])
}

/// The parts of a state that names occur in.
type Words = ([[u128; 2]; NODES], [u128; MAX_CLIENTS], u128, [u128; 2]);

impl State {
    /// What can be said of a node without any name.
    fn nameless(&self, name: usize) -> u128 {
        let node = &self.nodes[name];
        pack(&[
            (u8::from(usize::from(self.master) == name), 1),
            (u8::from(usize::from(node.upstream) == name), 1),
            (node.lock.owner.max(MAX_CLIENTS as u8), 3),
            (node.lock.left, 3),
            (node.gate.phase as u8, 3),
            (node.gate.left, 3),
            (u8::from(node.gate.of == node.id), 1),
            (node.gate.epoch, 3),
            (node.beyond.count_ones() as u8, 2),
            (node.claim_acks.count_ones() as u8, 2),
            (u8::from(node.synced), 1),
            (node.views, 5),
            (node.uptime, 3),
            (node.clock, 2),
            (node.counter, 4),
            (u8::from(node.id2 == NO_ID), 1),
        ])
    }

    fn words(&self, order: [usize; 3], crew: [usize; 3]) -> Words {
        let mut names = Names::new(order, crew);
        let nodes = order.map(|node| node_words(&self.nodes[node], &mut names));
        let clients = crew.map(|client| client_word(&self.clients[client], &mut names));
        let master = u128::from(names.node(self.master));
        let mut saved_words = [0; 2];
        if let Some(saved) = &self.snapshot {
            let place = pack(&[
                (1, 1),
                (names.node(saved.node), 2),
                (names.id(saved.id), 4),
                (names.client(saved.lock.owner), 3),
                (saved.lock.left, 3),
                (saved.lock.fence, 4),
                (saved.counter, 4),
                (names.set(saved.beyond), 3),
                (names.set(saved.behind), 3),
            ]);
            saved_words = [place, record_word(&saved.gate, &mut names)];
        }
        (nodes, clients, master, saved_words)
    }

    /// What can be said of a client without any name.
    fn nameless_client(&self, name: usize) -> u32 {
        let client = &self.clients[name];
        let fields = [
            (client.lease, 3),
            (client.write.kind as u8, 2),
            (client.write.left, 3),
            (client.write.acks.count_ones() as u8, 2),
            (u8::from(client.write.node == NOBODY), 1),
            (client.write.fence, 4),
            (client.fence, 4),
        ];
        pack(&fields) as u32
    }

    /// The orders of clients to be tried: those in which what can be said without names does not decrease.
    fn crews(&self) -> impl Iterator<Item = &'static [usize; 3]> {
        let traits: [u32; MAX_CLIENTS] = std::array::from_fn(|name| self.nameless_client(name));
        let crew = usize::from(self.crew);
        let stay = move |order: &[usize; 3]| (crew..MAX_CLIENTS).all(|name| order[name] == name);
        ORDERS.iter().filter(move |order| {
            let rises = |at: usize| traits[order[at - 1]] <= traits[order[at]];
            stay(order) && (1..crew).all(rises)
        })
    }

    fn canonical(&self) -> Option<Words> {
        let traits: [u128; NODES] = std::array::from_fn(|name| self.nameless(name));
        let in_order = |order: &&[usize; 3]| {
            let [first, second, third] = order.map(|node| traits[node]);
            first <= second && second <= third
        };
        let orders = ORDERS.iter().filter(in_order);
        orders
            .flat_map(|order| self.crews().map(|crew| self.words(*order, *crew)))
            .min()
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.canonical().hash(hasher);
        hasher.write(&[
            self.epoch,
            self.restarts,
            self.flushes,
            self.expiries,
            self.saves,
            self.grants,
            self.top_fence,
            u8::from(self.fence_went_back),
            u8::from(self.robbed),
            u8::from(self.revoked_came_back),
        ]);
    }
}
