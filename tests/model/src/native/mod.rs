//! A grant by plain commands: `SET lock token NX PX ttl`, `INCR counter`, `GET lock`, pipelined on one connection.
//!
//! One data set with two locks and one fence counter. Between any two commands of a client another client's commands may
//! run, and somebody may delete a lock by force. The grant counts if `GET` answers the client's own token: then the lock
//! was its own when the counter was raised. A link that is made seeds the counter with the server's time; an answer of
//! `INCR` below the link's seed shows that the counter was lost since, and the grant is asked again by the script.
//!
//! A pipeline whose reply was lost may still be on its way, and its `SET` may run at any later time. So a request is
//! asked again by the script, which is atomic, and never by a second pipeline with the same token
//! (`native-pipeline-again`).
//!
//! A failover, or a restart that finds older data, takes the data set back to an earlier copy. Time and grants are
//! bounded here; how leases fare over a failover is the strict model's part.

mod state;
mod steps;
pub mod variants;

use stateright::{Model, Property};

pub use state::State;
pub use steps::Step;

use state::{CLIENTS, LOCKS};

/// At most one client holds a valid lease on a lock.
pub const ONE_LEASE: &str = "at most one valid lease on a lock";
/// A grant has a greater fence than each grant of the data set that had counted when its own key was set.
pub const FENCES_INCREASE: &str = "fences increase in grant order over all locks";

/// Fences that the clock gives in a tick: more than are ever handed out, as with microseconds.
const FENCES_PER_TICK: u8 = 8;

/// What shows that the lock was the client's own when it raised the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// `GET lock` behind `INCR` answers the client's token.
    Get,
    /// All commands are one `MULTI`/`EXEC`.
    Transaction,
    /// `GET lock` before `INCR`.
    GetBefore,
    /// That `SET` answered OK is taken for proof.
    Nothing,
}

/// The rules in force, and how far to explore.
#[derive(Clone, Copy, Debug)]
pub struct Native {
    /// What shows that the lock was ours.
    pub proof: Proof,
    /// A link that is made seeds the counter with the server's time.
    pub seed_links: bool,
    /// An answer of `INCR` below the link's seed does not count.
    pub check_seed: bool,
    /// A request whose reply was lost is asked again by the script; else by a second pipeline with the same token.
    pub ask_again_by_script: bool,
    /// Ticks of a lease.
    pub lease: u8,
    /// Ticks until the exploration ends.
    pub ticks: u8,
    /// How often `INCR` runs.
    pub raises: u8,
    /// Failovers to an earlier copy, and restarts that find one.
    pub losses: u8,
    /// FLUSHALLs and restarts with an empty memory.
    pub flushes: u8,
    /// Deletions by force.
    pub forced: u8,
    /// Replies that are lost.
    pub lost_replies: u8,
    /// Ticks by which the next master's clock is behind.
    pub skew: u8,
    /// The clock that seeds has passed every fence that was given: its difference is less than the age of the links to
    /// the last master (an assumption, not a rule).
    pub clock_passes_fences: bool,
}

impl Native {
    /// The grant as the protocol has it.
    pub const PROTOCOL: Self = Self {
        proof: Proof::Get,
        seed_links: true,
        check_seed: true,
        ask_again_by_script: true,
        lease: 2,
        ticks: 3,
        raises: 3,
        losses: 0,
        flushes: 0,
        forced: 0,
        lost_replies: 0,
        skew: 0,
        clock_passes_fences: true,
    };

    /// Whoever holds a lease keeps its key: nothing takes the data set back.
    fn keeps_data(&self) -> bool {
        self.losses == 0 && self.flushes == 0
    }
}

impl Model for Native {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::START]
    }

    fn actions(&self, _: &State, steps: &mut Vec<Step>) {
        steps.extend([
            Step::Tick,
            Step::Copy,
            Step::Failover,
            Step::Flush,
            Step::RestartEmpty,
        ]);
        for client in 0..CLIENTS as u8 {
            steps.extend([
                Step::Connect { client },
                Step::Set { client },
                Step::Incr { client },
                Step::Get { client },
                Step::Transaction { client },
                Step::Script { client },
                Step::LoseReply { client },
                Step::LateSet { client },
                Step::Release { client },
                Step::GiveUp { client },
            ]);
            steps.extend((0..LOCKS as u8).map(|lock| Step::Send { client, lock }));
        }
        steps.extend((0..LOCKS as u8).map(|lock| Step::ForceDelete { lock }));
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        self.apply(before, step)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = vec![
            Property::always(FENCES_INCREASE, |_: &Self, state: &State| {
                !state.fence_went_back
            }),
            Property::sometimes("both locks are held", |_: &Self, state: &State| {
                (0..LOCKS as u8).all(|lock| state.holders(lock) == 1)
            }),
        ];
        if self.keeps_data() {
            all.push(Property::always(ONE_LEASE, |_: &Self, state: &State| {
                (0..LOCKS as u8).all(|lock| state.holders(lock) <= 1)
            }));
        }
        all
    }
}
