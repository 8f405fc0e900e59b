//! Strict mode: at most one valid lease across failovers.

mod broken;
mod canonical;
mod faults;
mod properties;
mod remedies;
pub mod rules;
mod scripts;
pub mod state;
mod steps;
mod story;
mod variant;
pub mod variants;

use stateright::{Model, Property};

pub use properties::{BROKEN_STAYS_BROKEN, FENCES_INCREASE, ONE_LEASE, RECOVERS};
pub use rules::Rules;
pub use state::State;
pub use steps::Step;
pub use variant::Variant;

use state::{Client, Gate, Lock, MAX_CLIENTS, NODES, Node, Write};

/// Fences that the clock gives in a tick; so many grants fit into one, as they do with microseconds.
pub(crate) const FENCES_PER_TICK: u8 = 2;

/// How far the exploration goes. `None` means without bound.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Clients.
    pub clients: u8,
    /// Ticks of the longest lease; every lease is that long.
    pub lease: u8,
    /// The most ticks that a script is on its way.
    pub delay: u8,
    /// Failovers.
    pub failovers: Option<u8>,
    /// Restarts, empty or with data.
    pub restarts: Option<u8>,
    /// FLUSHALLs.
    pub flushes: Option<u8>,
    /// Times that a lonely master drops its replication backlog.
    pub backlog_expiries: Option<u8>,
    /// Fences are part of the state.
    pub fences: bool,
    /// How far the data nodes' clocks may differ.
    pub skew: u8,
    /// Clients send the greatest fence they have seen.
    pub floors: bool,
    /// Operators release by force.
    pub force_releases: bool,
    /// Check in every state that a grant is possible again once faults stop.
    pub check_recovery: bool,
}

impl Bounds {
    /// A fence that is less than any that could be handed out now.
    pub(crate) fn fence_behind(&self) -> u8 {
        if self.fences {
            self.lease * FENCES_PER_TICK
        } else {
            0
        }
    }
}

/// The model of strict mode.
#[derive(Clone, Copy, Debug)]
pub struct Strict {
    /// The rules in force.
    pub rules: Rules,
    /// How far to explore.
    pub bounds: Bounds,
}

impl Strict {
    /// A new deployment: everything is empty, the first node is master.
    fn start(&self, clocks: [u8; NODES]) -> State {
        let node = Node {
            upstream: 0,
            was_replica: false,
            flushed: false,
            uptime: self.bounds.lease,
            lock: Lock::FREE,
            gate: Gate::ABSENT,
            claim_acks: 0,
            synced: false,
            partial: 1,
            fence: self.bounds.fence_behind(),
            clock: 0,
        };
        let behind = self.bounds.fence_behind();
        let client = Client {
            lease: 0,
            write: Write::NONE,
            floor: behind,
            fence: behind,
            broken: false,
        };
        State {
            nodes: clocks.map(|clock| Node { clock, ..node }),
            clients: [client; MAX_CLIENTS],
            crew: self.bounds.clients,
            master: 0,
            epoch: 0,
            restarts: 0,
            flushes: 0,
            expiries: 0,
            grants: 0,
            top_fence: 0,
            fence_went_back: false,
            broken_lease_came_back: false,
        }
    }
}

impl Model for Strict {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let skew = self.bounds.skew;
        let clocks = if skew == 0 {
            vec![[0; NODES]]
        } else {
            vec![[skew, 0, 0], [0, skew, 0], [0, 0, skew], [0, skew, skew]]
        };
        clocks
            .into_iter()
            .map(|clocks| self.start(clocks))
            .collect()
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        steps.push(Step::Tick);
        for client in 0..state.crew {
            steps.extend([Step::Confirm { client }, Step::GiveUp { client }]);
            for node in 0..NODES as u8 {
                for late in 0..=self.bounds.delay {
                    steps.extend([
                        Step::Acquire { client, node, late },
                        Step::Renew { client, node, late },
                    ]);
                }
            }
        }
        for node in 0..NODES as u8 {
            steps.extend([
                Step::Release { node },
                Step::ForceRelease { node },
                Step::GateClaim { node },
                Step::GateOpen { node },
                Step::Replicate { node },
                Step::FullSync { node },
                Step::Promote { node },
                Step::Repoint { node },
                Step::RestartEmpty { node },
                Step::RestartAlone { node },
                Step::RestartWithData { node },
                Step::RestartOld { node },
                Step::Flush { node },
                Step::BacklogExpiry { node },
                Step::Repromote { node },
            ]);
            steps.extend((0..NODES as u8).map(|to| Step::Return { node, to }));
        }
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        self.apply(before, step)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self)
    }
}
