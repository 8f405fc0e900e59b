//! Quorum mode: one lock on independent nodes, and a fence that rises across them.
//!
//! A client asks every node (`acquire.lua`) and proposes a fence, its estimate of the time; a node grants with
//! `max(counter + 1, proposed)`, and stores that. If a majority answers exactly what was proposed, the grant stands after
//! this one round trip: each of them has stored it, so any later majority meets it. Where the answers differ, the fence is
//! the greatest of them, and before the lease is handed out it is written back: every node of a majority raises its
//! counter to it (`raise_fence.lua`), where the lock is still the client's own. The counter is one for all locks, so grants
//! of other locks raise it at any time. A node that started with an empty memory does not vote until the longest lease
//! has passed (its gate). There is no replication and no failover here.

pub mod state;
mod steps;
pub mod variants;

use stateright::{Model, Property};

pub use steps::Step;

use state::{CLIENTS, Client, MAJORITY, NOBODY, NODES, Node, Phase, State};

/// At most one client holds a valid lease.
pub const ONE_LEASE: &str = "at most one valid lease";
/// Every lease handed out has a greater fence than all before it.
pub const FENCES_INCREASE: &str = "fences increase in grant order";

/// The proposed fence stands after one round trip.
pub const STANDS_AT_ONCE: &str = "a grant stands without a write-back";

/// Fences that the clock gives in a tick. So many answers fit into one, as they do with microseconds.
const FENCES_PER_TICK: u8 = 4;

/// The rules in force, and how far to explore.
#[derive(Clone, Copy, Debug)]
pub struct Quorum {
    /// Ticks of the longest lease; every lease is that long.
    pub lease: u8,
    /// Nodes may restart with an empty memory.
    pub restarts: bool,
    /// How far the clients' clocks may differ.
    pub skew: u8,
    /// Where the answers differ, the fence is written back to a majority before the lease is handed out.
    pub write_back: bool,
    /// Without a write-back, the greatest answer is the fence; else what was proposed.
    pub take_greatest: bool,
    /// A node takes a write-back only where the lock is the client's own.
    pub raise_needs_lock: bool,
    /// Nodes that have to answer what was proposed, for the grant to stand at once.
    pub agreement: u32,
    /// A node that started with an empty memory does not vote until the longest lease has passed.
    pub gate: bool,
    /// The proposed fence is the client's time; else nothing is proposed.
    pub clock_in_fence: bool,
    /// A lease is handed out, or extended, only before its deadline.
    pub check_deadline: bool,
    /// Nodes that have to grant.
    pub majority: u32,
    /// Replies may be lost.
    pub losses: bool,
    /// Leases are extended.
    pub extensions: bool,
    /// How often grants of other locks raise a node's counter.
    pub others: u8,
}

impl Quorum {
    /// Quorum mode as the protocol has it.
    pub const PROTOCOL: Self = Self {
        lease: 2,
        restarts: true,
        skew: 1,
        write_back: true,
        take_greatest: true,
        raise_needs_lock: true,
        agreement: MAJORITY,
        gate: true,
        clock_in_fence: true,
        check_deadline: true,
        majority: MAJORITY,
        losses: false,
        extensions: true,
        others: 0,
    };

    /// A fence that is less than any that could be handed out now.
    fn behind(&self) -> u8 {
        if self.clock_in_fence {
            self.lease * FENCES_PER_TICK
        } else {
            0
        }
    }
}

impl Model for Quorum {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let node = Node {
            owner: NOBODY,
            left: 0,
            fence: self.behind(),
            gate: 0,
        };
        let clients = std::array::from_fn(|name| Client {
            clock: if name == 0 { self.skew } else { 0 },
            ..Client::IDLE
        });
        vec![State {
            nodes: [node; NODES],
            clients,
            asks: 0,
            others: 0,
            top_fence: 0,
            fence_went_back: false,
        }]
    }

    fn actions(&self, _: &State, steps: &mut Vec<Step>) {
        steps.push(Step::Tick);
        for client in 0..CLIENTS as u8 {
            steps.extend([
                Step::WriteBack { client },
                Step::HandOut { client },
                Step::Extend { client },
                Step::Extended { client },
                Step::GiveUp { client },
            ]);
            for node in 0..NODES as u8 {
                steps.extend([
                    Step::Acquire {
                        client,
                        node,
                        lost: false,
                    },
                    Step::Acquire {
                        client,
                        node,
                        lost: true,
                    },
                    Step::Raise { client, node },
                    Step::Renew { client, node },
                ]);
            }
        }
        for node in 0..NODES as u8 {
            steps.extend([
                Step::Release { node },
                Step::OtherGrant { node },
                Step::RestartEmpty { node },
            ]);
        }
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        self.apply(before, step)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_LEASE, |_, state: &State| state.valid_leases() <= 1),
            Property::always(FENCES_INCREASE, |_, state: &State| !state.fence_went_back),
            Property::sometimes("a lease is held", |_, state: &State| {
                state.valid_leases() == 1
            }),
            Property::sometimes(STANDS_AT_ONCE, |_, state: &State| {
                state.clients.iter().any(|client| {
                    client.phase == Phase::Asking && client.agreed.count_ones() >= MAJORITY
                })
            }),
        ]
    }
}
