//! The steps of clients, servers, Sentinel and time.

use super::Takeover;
use super::state::{Kind, Lock, NOBODY, Record, State, Write};

/// One step of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A tick passes, for everyone.
    Tick,
    /// The commands of a grant run, sent `late` ticks ago.
    Acquire {
        /// Who asks.
        client: u8,
        /// Where.
        node: u8,
        /// Ticks on the way.
        late: u8,
    },
    /// `renew.lua` runs, sent `late` ticks ago.
    Renew {
        /// Who asks.
        client: u8,
        /// Where.
        node: u8,
        /// Ticks on the way.
        late: u8,
    },
    /// `WAIT` and the look behind it tell the client that its write counts.
    Confirm {
        /// Who is told.
        client: u8,
    },
    /// The client lets go, for whatever reason.
    GiveUp {
        /// Who.
        client: u8,
    },
    /// `release.lua` runs for a token that was given up.
    Release {
        /// Where.
        node: u8,
    },
    /// `adopt.lua` runs with the ticket of whoever holds.
    Adopt {
        /// Who takes over.
        client: u8,
        /// Where.
        node: u8,
    },
    /// `force_release.lua` runs.
    ForceRelease {
        /// Where.
        node: u8,
    },
    /// `gate_claim.lua` runs, by a client that heard the Sentinels name this node at that epoch.
    GateClaim {
        /// Where.
        node: u8,
        /// At which epoch.
        epoch: u8,
    },
    /// `gate_open.lua` runs for a confirmed claim: the gate opens after the pause.
    GateOpen {
        /// Where.
        node: u8,
    },
    /// `gate_open.lua` runs: the gate is open at once.
    GateOpenFast {
        /// Where.
        node: u8,
    },
    /// A replica catches up with the node it follows.
    Replicate {
        /// The replica.
        node: u8,
    },
    /// A replica that was away for too long is sent everything.
    FullSync {
        /// The replica.
        node: u8,
    },
    /// A master writes to the replication stream and to nothing else.
    Ping {
        /// Where.
        node: u8,
    },
    /// Sentinel promotes the node.
    Promote {
        /// The new master.
        node: u8,
    },
    /// The Sentinels name a deposed master that was never demoted.
    Repromote {
        /// The deposed master.
        node: u8,
    },
    /// A node is made to follow another, which calls itself master.
    Follow {
        /// Who.
        node: u8,
        /// Whom.
        to: u8,
    },
    /// The node restarts with an empty memory.
    RestartEmpty {
        /// Where.
        node: u8,
    },
    /// The node restarts and finds all its data.
    RestartWithData {
        /// Where.
        node: u8,
    },
    /// The replica restarts as it was when it was stopped.
    RestartAsItWas {
        /// Where.
        node: u8,
    },
    /// The node writes a snapshot.
    Save {
        /// Where.
        node: u8,
    },
    /// Against the assumption: the node restarts with an old snapshot.
    RestartOld {
        /// Where.
        node: u8,
    },
    /// Somebody runs FLUSHALL.
    Flush {
        /// Where.
        node: u8,
    },
    /// A master without replicas drops its replication backlog.
    DropBacklog {
        /// Where.
        node: u8,
    },
}

impl Takeover {
    /// The state after `step`, or nothing if the step cannot be taken or changes nothing.
    #[must_use]
    pub fn apply(&self, before: &State, step: Step) -> Option<State> {
        let mut after = *before;
        let state = &mut after;
        match step {
            Step::Tick => self.tick(state),
            Step::Acquire { client, node, late } => self.acquire(state, client, node, late)?,
            Step::Renew { client, node, late } => self.renew(state, client, node, late)?,
            Step::Confirm { client } => self.confirm(state, client)?,
            Step::GiveUp { client } => self.give_up(state, client),
            Step::Release { node } => self.release(state, node)?,
            Step::Adopt { client, node } => self.adopt(state, client, node)?,
            Step::ForceRelease { node } => self.force_release(state, node)?,
            Step::GateClaim { node, epoch } => self.gate_claim(state, node, epoch)?,
            Step::GateOpen { node } => self.gate_open(state, node)?,
            Step::GateOpenFast { node } => self.gate_open_fast(state, node)?,
            Step::Replicate { node } => self.replicate(state, node, false)?,
            Step::FullSync { node } => self.replicate(state, node, true)?,
            Step::Ping { node } => {
                if !self.bounds.pings || !state.serves(node) {
                    return None;
                }
                self.log(state, node);
            }
            Step::Promote { node } => self.promote(state, node)?,
            Step::Repromote { node } => self.repromote(state, node)?,
            Step::Follow { node, to } => self.follow(state, node, to)?,
            Step::RestartEmpty { node } => self.restart_empty(state, node)?,
            Step::RestartWithData { node } => self.restart_with_data(state, node)?,
            Step::RestartAsItWas { node } => self.restart_as_it_was(state, node)?,
            Step::Save { node } => self.save(state, node)?,
            Step::RestartOld { node } => self.restart_old(state, node)?,
            Step::Flush { node } => self.flush(state, node)?,
            Step::DropBacklog { node } => self.drop_backlog(state, node)?,
        }
        self.forget_what_no_step_reads(state);
        (after != *before).then_some(after)
    }

    fn tick(&self, state: &mut State) {
        for node in &mut state.nodes {
            node.uptime = (node.uptime + 1).min(self.bounds.lease);
            pass(&mut node.lock, &mut node.gate);
        }
        if let Some(saved) = &mut state.snapshot {
            pass(&mut saved.lock, &mut saved.gate);
        }
        for name in 0..state.crew {
            self.tick_client(state, name);
        }
    }

    /// The client's deadlines come nearer. What has passed is over: the lease, and every write that could only have
    /// confirmed it afterwards.
    fn tick_client(&self, state: &mut State, name: u8) {
        let client = state.client_mut(name);
        let held = client.lease > 0;
        client.lease = client.lease.saturating_sub(1);
        let is_void = client.write.node == NOBODY;
        if client.write.kind != Kind::None && !is_void {
            client.write.left -= 1;
            client.write.held = client.write.held.saturating_sub(1);
        }
        if client.write.left == 0 {
            client.write = Write::NONE;
        }
        let has_nothing = client.lease == 0 && client.write.kind == Kind::None;
        if has_nothing || (held && client.lease == 0) {
            self.give_up(state, name);
        }
    }
}

/// A tick passes for what is stored.
fn pass(lock: &mut Lock, gate: &mut Record) {
    lock.left = lock.left.saturating_sub(1);
    if lock.left == 0 {
        *lock = Lock::FREE;
    }
    gate.left = gate.left.saturating_sub(1);
    gate.hold = gate.hold.saturating_sub(1);
}
