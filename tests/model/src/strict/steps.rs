//! The steps of clients, servers, Sentinel and time.
//!
//! What clients do is in `scripts`, what befalls the servers in `faults`.

use super::state::{
    EVERYONE, EVERYWHERE, Gate, Kind, Lock, NOBODY, NODES, Node, PAST, Phase,
    REPLICAS_FOR_MAJORITY, State, Write,
};
use super::{FENCES_PER_TICK, Strict};

/// One step of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A tick passes, for everyone.
    Tick,
    /// The commands of a grant run, or `acquire.lua`, sent `late` ticks ago.
    Acquire {
        /// Who asks.
        client: u8,
        /// Where.
        node: u8,
        /// Ticks on the way.
        late: u8,
    },
    /// `renew.lua` runs, sent `late` ticks ago; it re-asserts where the key is missing.
    Renew {
        /// Who asks.
        client: u8,
        /// Where.
        node: u8,
        /// Ticks on the way.
        late: u8,
    },
    /// `WAIT` told the client that a majority has its write.
    Confirm {
        /// Who is told.
        client: u8,
    },
    /// The client lets go, for whatever reason: released, cancelled, not confirmed in time, crashed.
    GiveUp {
        /// Who.
        client: u8,
    },
    /// `release.lua` runs for a token that was given up.
    Release {
        /// Where.
        node: u8,
    },
    /// `gate_claim.lua` runs.
    GateClaim {
        /// Where.
        node: u8,
    },
    /// `WAIT` confirmed the claim and `gate_open.lua` runs.
    GateOpen {
        /// Where.
        node: u8,
    },
    /// An operator deletes the key, whoever holds it (`force_release`).
    ForceRelease {
        /// Where.
        node: u8,
    },
    /// A replica catches up with the node it follows.
    Replicate {
        /// The replica.
        node: u8,
    },
    /// A replica that was away for too long is sent everything by the node it follows (`sync_full`).
    FullSync {
        /// The replica.
        node: u8,
    },
    /// Sentinel promotes the node.
    Promote {
        /// The new master.
        node: u8,
    },
    /// Sentinel makes the node follow the current master; it copies the master's data.
    Repoint {
        /// The new replica.
        node: u8,
    },
    /// The node restarts with an empty memory.
    RestartEmpty {
        /// Where.
        node: u8,
    },
    /// The replica restarts with an empty memory and without its configuration: as a master that no one follows.
    RestartAlone {
        /// Where.
        node: u8,
    },
    /// Against the assumption: the replica restarts with what it had earlier.
    RestartOld {
        /// Where.
        node: u8,
    },
    /// The node restarts and finds its data on disk.
    RestartWithData {
        /// Where.
        node: u8,
    },
    /// Somebody runs FLUSHALL.
    Flush {
        /// Where.
        node: u8,
    },
    /// A master without replicas drops its backlog: a new `master_replid`, and `master_replid2` is noughts again.
    BacklogExpiry {
        /// Where.
        node: u8,
    },
    /// A data node goes back to a deposed master.
    Return {
        /// The data node.
        node: u8,
        /// The deposed master.
        to: u8,
    },
    /// Sentinel promotes a deposed master that never was demoted, so its incarnation goes on.
    Repromote {
        /// The deposed master.
        node: u8,
    },
}

impl Step {
    /// The node whose data the step changes by a script or a command.
    fn writes_on(self) -> Option<u8> {
        match self {
            Self::Acquire { node, .. }
            | Self::Renew { node, .. }
            | Self::Release { node }
            | Self::ForceRelease { node }
            | Self::GateClaim { node }
            | Self::GateOpen { node }
            | Self::Flush { node } => Some(node),
            _ => None,
        }
    }
}

impl Strict {
    /// The state after `step`, or nothing if the step cannot be taken or changes nothing.
    #[must_use]
    pub fn apply(&self, before: &State, step: Step) -> Option<State> {
        let mut after = *before;
        let taken = match step {
            Step::Tick => self.tick(&mut after),
            Step::Acquire { client, node, late } => self.acquire(&mut after, client, node, late),
            Step::Renew { client, node, late } => self.renew(&mut after, client, node, late),
            Step::Confirm { client } => self.confirm(&mut after, client),
            Step::GiveUp { client } => {
                self.give_up(&mut after, client);
                Some(())
            }
            Step::Release { node } => self.release(&mut after, node),
            Step::ForceRelease { node } => self.force_release(&mut after, node),
            Step::GateClaim { node } => self.gate_claim(&mut after, node),
            Step::GateOpen { node } => self.gate_open(&mut after, node),
            Step::Replicate { node } => self.replicate(&mut after, node),
            Step::FullSync { node } => self.full_sync(&mut after, node),
            Step::Promote { node } => self.promote(&mut after, node),
            Step::Repoint { node } => self.repoint(&mut after, node),
            Step::RestartEmpty { node } => self.restart(&mut after, node, true),
            Step::RestartAlone { node } => self.restart_alone(&mut after, node),
            Step::RestartOld { node } => self.restart_old(&mut after, node),
            Step::RestartWithData { node } => self.restart(&mut after, node, false),
            Step::Flush { node } => self.flush(&mut after, node),
            Step::BacklogExpiry { node } => self.backlog_expiry(&mut after, node),
            Step::Return { node, to } => self.return_to(&mut after, node, to),
            Step::Repromote { node } => self.repromote(&mut after, node),
        };
        taken?;
        if let Some(node) = step.writes_on() {
            // Whoever follows this goes beyond every history but this one.
            after.nodes[usize::from(node)].partial = 1 << node;
        }
        self.forget_what_no_step_reads(&mut after);
        (after != *before).then_some(after)
    }

    fn tick(&self, state: &mut State) -> Option<()> {
        self.tick_fences(state);
        for node in &mut state.nodes {
            node.uptime = (node.uptime + 1).min(self.bounds.lease);
            node.gate.left = node.gate.left.saturating_sub(1);
            node.lock.left = node.lock.left.saturating_sub(1);
            if node.lock.left == 0 {
                node.lock = Lock::FREE;
            }
        }
        for name in 0..state.crew {
            self.tick_client(state, name);
        }
        Some(())
    }

    /// The client's deadlines come nearer. What has passed is over: the lease, and every write that could only have
    /// confirmed it afterwards.
    fn tick_client(&self, state: &mut State, name: u8) {
        let client = &mut state.clients[usize::from(name)];
        let held = client.lease > 0;
        client.lease = client.lease.saturating_sub(1);
        if client.write.kind != Kind::None && !client.write.is_void() {
            client.write.left -= 1;
        }
        let write_lapsed = client.write.left == 0;
        if write_lapsed {
            client.write = Write::NONE;
        }
        let renewal_may_come_late =
            !self.rules.void_late_renewals && client.write.kind == Kind::Renew;
        let has_nothing = client.lease == 0 && client.write.kind == Kind::None;
        let lapsed = held && client.lease == 0;
        if has_nothing || (lapsed && !renewal_may_come_late) {
            self.give_up(state, name);
        }
    }

    /// Fences are counted from the present, so they all fall back as time goes on. A stored fence, or a floor, below what
    /// the slowest clock would give now decides nothing any more.
    fn tick_fences(&self, state: &mut State) {
        if !self.bounds.fences {
            return;
        }
        let behind = self.bounds.fence_behind();
        let older = |fence: u8| fence.saturating_sub(FENCES_PER_TICK);
        state.grants = 0;
        state.top_fence = older(state.top_fence);
        for node in &mut state.nodes {
            node.fence = older(node.fence).max(behind);
        }
        for client in &mut state.clients {
            client.floor = older(client.floor).max(behind);
            client.fence = older(client.fence).max(behind);
            client.write.fence = older(client.write.fence);
        }
    }

    /// Sets to a fixed value what no later step can tell apart, so that equal futures are one state.
    fn forget_what_no_step_reads(&self, state: &mut State) {
        if state.epoch > 0 && self.rules.any_master_will_do() {
            state.master = NOBODY;
        }
        for client in &mut state.clients {
            if client.write.is_void() {
                client.write.left = self.bounds.lease;
            }
            if client.write.acks.count_ones() >= REPLICAS_FOR_MAJORITY {
                if self.looks_behind_wait(client.write.kind) {
                    client.write.acks = EVERYONE & !(1 << client.write.node);
                } else {
                    (client.write.node, client.write.acks) = (EVERYWHERE, 0);
                }
            }
            let dead = client.write.node == NOBODY && client.write.kind == Kind::Renew;
            if dead && client.lease > 0 && self.rules.confirm_renewals {
                client.write = Write::NONE;
            }
        }
        // The exception for new deployments can be claimed at epoch nought only, where no one but the first master has
        // replicas; a claim that was made by it lives on.
        let claimable = !self.rules.new_only_at_epoch_zero || !self.rules.absent_record_waits;
        let serving = (0..NODES)
            .filter(|node| state.serves(*node))
            .fold(0, |all, node| all | 1 << node);
        for (name, node) in (0..).zip(&mut state.nodes) {
            let is_ours = node.gate.of == name;
            let pending = is_ours && node.gate.phase.is_pending();
            if !pending {
                node.claim_acks = 0;
            }
            node.synced &= is_ours;
            if is_ours && !pending && node.gate.left == 0 {
                node.gate.resynced = false;
            }
            node.partial = if self.rules.count_syncs {
                node.partial & serving
            } else {
                0
            };
            let never_pardoned = state.epoch > 0 && self.rules.pardon_only_at_epoch_zero;
            if node.gate.phase == Phase::OpenNew && (never_pardoned || !self.rules.count_syncs) {
                node.gate.phase = Phase::Open;
            }
            let claimed = pending && node.gate.phase == Phase::PendingNew;
            if !claimable && !claimed && (state.epoch > 0 || name != state.master) {
                forget_new_deployment(node, self.bounds.lease);
            }
        }
    }
}

/// What only the exception for new deployments asks for.
fn forget_new_deployment(node: &mut Node, uptime: u8) {
    node.was_replica = false;
    node.flushed = false;
    node.uptime = uptime;
    if node.gate.of == PAST {
        node.gate = Gate::ABSENT;
    }
}
