//! Quorum mode: one lock on independent nodes, and a fence that rises across them.
//!
//! A client asks every node (`acquire.lua`); a majority grants. Its fence is the greatest of the answers, and before the
//! lease is handed out it is written back: every node of a majority raises its stored fence to it (`raise.lua`), so any
//! later majority meets it. A node *refuses* where another attempt has stored as much or more since: a vote may be older
//! than a rival's write-back, and then the greatest of the answers is not greater than the rival's fence. The client takes
//! a greater one and writes back again. A node that started with an empty memory neither votes nor takes
//! a write-back until the longest lease has passed (its gate). There is no replication and no failover here.

pub mod state;
mod steps;
pub mod variants;

use stateright::{Model, Property};

pub use steps::Step;

use state::{CLIENTS, Client, MAJORITY, NOBODY, NODES, Node, State};

/// At most one client holds a valid lease.
pub const ONE_LEASE: &str = "at most one valid lease";
/// Every lease handed out has a greater fence than all before it.
pub const FENCES_INCREASE: &str = "fences increase in grant order";

/// Fences that the clock gives in a tick. So many answers fit into one, as they do with microseconds.
const FENCES_PER_TICK: u8 = 4;

/// The rules in force, and how far to explore.
#[derive(Clone, Copy, Debug)]
pub struct Quorum {
    /// Ticks of the longest lease; every lease is that long.
    pub lease: u8,
    /// Nodes may restart with an empty memory.
    pub restarts: bool,
    /// How far the nodes' clocks may differ.
    pub skew: u8,
    /// The fence is written back to a majority before the lease is handed out.
    pub write_back: bool,
    /// A node refuses to raise its fence to what another attempt has reached already.
    pub refuse_raise: bool,
    /// A node that does not vote takes no write-back either: it may just have forgotten a rival's.
    pub gate_on_raise: bool,
    /// A node that started with an empty memory does not vote until the longest lease has passed.
    pub gate: bool,
    /// The fence is at least the server's time.
    pub clock_in_fence: bool,
    /// A lease is handed out, or extended, only before its deadline.
    pub check_deadline: bool,
    /// Nodes that have to grant.
    pub majority: u32,
    /// Replies may be lost.
    pub losses: bool,
    /// Leases are extended.
    pub extensions: bool,
}

impl Quorum {
    /// Quorum mode as the protocol has it.
    pub const PROTOCOL: Self = Self {
        lease: 2,
        restarts: true,
        skew: 1,
        write_back: true,
        refuse_raise: true,
        gate_on_raise: true,
        gate: true,
        clock_in_fence: true,
        check_deadline: true,
        majority: MAJORITY,
        losses: false,
        extensions: true,
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
            fence_by: NOBODY,
            gate: 0,
            clock: 0,
        };
        // How many of the clocks are ahead; the order of the nodes does not matter.
        let ahead = if self.skew == 0 { 0..1 } else { 1..NODES };
        let start = |ahead: usize| State {
            nodes: std::array::from_fn(|name| Node {
                clock: if name < ahead { self.skew } else { 0 },
                ..node
            }),
            clients: [Client::IDLE; CLIENTS],
            asks: 0,
            top_fence: 0,
            fence_went_back: false,
        };
        ahead.map(start).collect()
    }

    fn actions(&self, _: &State, steps: &mut Vec<Step>) {
        steps.push(Step::Tick);
        for client in 0..CLIENTS as u8 {
            steps.extend([
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
            steps.extend([Step::Release { node }, Step::RestartEmpty { node }]);
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
        ]
    }
}
