//! Strict mode without the pause: a gate that opens at once where the new master provably has everything.
//!
//! Unlike in [`strict`](crate::strict), histories of replication are explicit here: which one a node is of
//! (`master_replid`), which one that continues (`master_replid2`), and whose log reaches beyond whose. Faults are counted,
//! because this has many more states. Where no claim is fast, this is strict mode too.
//!
//! Why it holds: every confirmed grant of the deposed master was acknowledged by a majority. It meets the majority that
//! shows evidence for the claim in some node. That node has not forgotten it (it has been up for the longest lease), and
//! what it had is in the new master's past (it came by a partial resynchronisation, so it had nothing beyond). The deposed
//! master confirms nothing more, because whoever confirms must not have been sent everything since the claim.

mod broken;
mod canonical;
mod clients;
mod faults;
mod forget;
mod gate;
mod properties;
mod replication;
mod revoked;
pub mod rules;
pub mod state;
mod steps;
mod story;
mod variant;
pub mod variants;

use stateright::{Model, Property};

pub use properties::{
    FAST_GRANT, FENCES_INCREASE, NOBODY_ROBBED, ONE_LEASE, RECOVERS, REVOKED_STAYS,
};
pub use rules::Rules;
pub use state::State;
pub use steps::Step;
pub use variant::Variant;

use state::{Client, Lock, MAX_CLIENTS, NO_ID, NODES, Node, Phase, Record, Write};

/// How far the exploration goes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Clients.
    pub clients: u8,
    /// Ticks of the longest lease; every lease is that long.
    pub lease: u8,
    /// The most ticks that a command is on its way.
    pub delay: u8,
    /// Failovers.
    pub failovers: u8,
    /// Restarts, empty or with data.
    pub restarts: u8,
    /// Snapshots, and so restarts from one.
    pub saves: u8,
    /// FLUSHALLs.
    pub flushes: u8,
    /// Times that a lonely master drops its replication backlog.
    pub backlog_expiries: u8,
    /// Grants; nought: without bound, and fences are no part of the state.
    pub grants: u8,
    /// How far the data nodes' clocks may differ.
    pub skew: u8,
    /// How far a new master's clock is ahead of the last one's is measured; else the most that it may be counts.
    pub measured: bool,
    /// Leases are handed over and released by force.
    pub revocations: bool,
    /// Masters write to the replication stream when nobody asks.
    pub pings: bool,
    /// It begins with a new deployment; else with an open gate.
    pub new_deployment: bool,
    /// Check in every state that a grant is possible again once faults stop.
    pub check_recovery: bool,
}

/// The model of a take-over.
#[derive(Clone, Copy, Debug)]
pub struct Takeover {
    /// The rules in force.
    pub rules: Rules,
    /// How far to explore.
    pub bounds: Bounds,
}

impl Takeover {
    /// The first node is master, everyone follows it.
    fn start(&self, clocks: [u8; NODES]) -> State {
        let open = Record {
            of: 0,
            phase: Phase::Open,
            clock: if self.bounds.measured { clocks[0] } else { 0 },
            ..Record::ABSENT
        };
        let node = Node {
            upstream: 0,
            id: 0,
            id2: NO_ID,
            beyond: 0,
            uptime: self.bounds.lease,
            clock: 0,
            flushed: false,
            lock: Lock::FREE,
            gate: if self.bounds.new_deployment {
                Record::ABSENT
            } else {
                open
            },
            counter: 0,
            claim_acks: 0,
            seen: 0,
            synced: false,
            views: 0,
            named: 0,
        };
        let client = Client {
            lease: 0,
            write: Write::NONE,
            fence: 0,
            revoked_on: NO_ID,
            handed_over: false,
        };
        let mut state = State {
            nodes: clocks.map(|clock| Node { clock, ..node }),
            clients: [client; MAX_CLIENTS],
            crew: self.bounds.clients,
            master: 0,
            epoch: 0,
            restarts: 0,
            flushes: 0,
            expiries: 0,
            saves: 0,
            snapshot: None,
            grants: 0,
            top_fence: 0,
            fence_went_back: false,
            robbed: false,
            revoked_came_back: false,
        };
        self.forget_what_no_step_reads(&mut state);
        state
    }
}

impl Model for Takeover {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let skew = self.bounds.skew;
        let clocks = match skew {
            0 => vec![[0; NODES]],
            _ => vec![[skew, 0, 0], [0, skew, 0], [0, skew, skew], [skew, skew, 0]],
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
                steps.push(Step::Adopt { client, node });
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
                Step::GateOpen { node },
                Step::GateOpenFast { node },
                Step::Replicate { node },
                Step::FullSync { node },
                Step::Ping { node },
                Step::Promote { node },
                Step::Repromote { node },
                Step::RestartEmpty { node },
                Step::RestartWithData { node },
                Step::RestartAsItWas { node },
                Step::Save { node },
                Step::RestartOld { node },
                Step::Flush { node },
                Step::DropBacklog { node },
            ]);
            steps.extend((0..=state.epoch).map(|epoch| Step::GateClaim { node, epoch }));
            steps.extend((0..NODES as u8).map(|to| Step::Follow { node, to }));
        }
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        self.apply(before, step)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self)
    }
}
