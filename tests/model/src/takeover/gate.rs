//! The gate: a claim, what is looked at for it, and the two ways to open it.

use super::Takeover;
use super::rules::{Evidence, MajorityOf, Pardon};
use super::state::{EVERYONE, Kind, NO_ID, NODES, Node, Phase, Record, State, bit};

impl Takeover {
    /// `gate_claim.lua`, by a client that read `sync_full` and then heard the Sentinels name this node at `epoch`.
    pub(super) fn gate_claim(&self, state: &mut State, name: u8, epoch: u8) -> Option<()> {
        let node = *state.node(name);
        let rules = &self.rules;
        let views = if rules.vet { node.views } else { node.named };
        let heard = views
            | if rules.pardon == Pardon::Stale {
                node.named
            } else {
                0
            };
        if !state.serves(name) || heard & bit(epoch) == 0 {
            return None;
        }
        let was = node.gate;
        let is_ours = state.has_own_record(name);
        if rules.refuse_older && was.phase != Phase::None && epoch < was.epoch {
            return None;
        }
        if is_ours && epoch == was.epoch && (rules.pardon != Pardon::Never || !node.synced) {
            // Nobody else was master since the claim.
            state.node_mut(name).synced = false;
            self.log(state, name);
            return node.synced.then_some(());
        }
        if views & bit(epoch) == 0 {
            return None;
        }
        self.write_claim(state, name, epoch, is_ours);
        Some(())
    }

    /// Writes a record of its own number; what waits for an earlier one is void.
    fn write_claim(&self, state: &mut State, name: u8, epoch: u8, is_ours: bool) {
        let node = *state.node(name);
        let was = node.gate;
        let phase = self.phase_of_claim(&node, epoch, is_ours);
        let hold = match (phase, self.bounds.skew) {
            (Phase::PendingFast, 0) => 1,
            // As long as leases of the last master may run; and for a lease longer grants are written twice.
            (Phase::PendingFast, _) => 2 * self.bounds.lease,
            _ => 0,
        };
        let (wait, clock) = match (self.bounds.measured, is_ours) {
            (false, _) => (0, 0),
            (true, true) => (was.wait, was.clock),
            (true, false) => {
                let before = was.hold > 0 && self.rules.add_holds;
                let ahead = node.clock.saturating_sub(was.clock);
                (ahead + if before { was.wait } else { 0 }, node.clock)
            }
        };
        let has_time = was.phase == Phase::Open;
        let record = Record {
            of: node.id,
            phase,
            left: 0,
            resynced: is_ours && (has_time || was.resynced),
            epoch,
            hold,
            wait: if hold > 0 { wait } else { 0 },
            clock,
            ..was
        };
        // Whoever learned that an earlier claim was confirmed may run `gate_open` only now.
        let claim_acks = match (is_ours, has_time) {
            _ if self.rules.bind_open => 0,
            (true, true) => EVERYONE & !bit(name),
            (true, false) => node.claim_acks,
            (false, _) => 0,
        };
        let node = state.node_mut(name);
        node.gate = record;
        (node.synced, node.seen, node.claim_acks) = (false, 0, claim_acks);
        if !is_ours {
            self.seed(state, name, &was);
        }
        for client in &mut state.clients {
            let bound = match client.write.kind {
                Kind::Renew => self.rules.bind_renewals,
                _ => self.rules.bind_grants,
            };
            if client.write.node == name && bound {
                client.write.void();
            }
        }
        self.log(state, name);
    }

    fn phase_of_claim(&self, node: &Node, epoch: u8, is_ours: bool) -> Phase {
        let (rules, was) = (&self.rules, &node.gate);
        let is_next = epoch == was.epoch + 1 || !rules.next_epoch;
        let is_predecessors = was.of == node.id2 || !rules.record_names_predecessor;
        let was_open = was.is_open() || !rules.predecessor_was_open;
        let is_first = was.phase == Phase::None && node.id2 == NO_ID && epoch == 0 && !node.flushed;
        let may_be_fast = if is_ours {
            was.phase == Phase::PendingFast && epoch == was.epoch
        } else {
            was.of != NO_ID && is_next && is_predecessors && was_open
        };
        if rules.fast && may_be_fast {
            Phase::PendingFast
        } else if self.bounds.new_deployment && is_first {
            Phase::PendingFirst
        } else {
            Phase::Pending
        }
    }

    /// `gate_open.lua` with the pause.
    pub(super) fn gate_open(&self, state: &mut State, name: u8) -> Option<()> {
        let node = *state.node(name);
        if !state.has_own_record(name)
            || !node.gate.phase.is_pending()
            || !is_majority(node.claim_acks)
        {
            return None;
        }
        let lived = match node.gate.phase {
            Phase::PendingFirst => node.uptime,
            _ => 0,
        };
        let gate = &mut state.node_mut(name).gate;
        (gate.phase, gate.left, gate.hold, gate.wait) =
            (Phase::Open, self.bounds.lease - lived, 0, 0);
        self.log(state, name);
        Some(())
    }

    /// What a client may read of `other` for the claim of `name`.
    pub(super) fn is_evident(&self, state: &State, name: u8, other: u8) -> bool {
        let (rules, master, node) = (&self.rules, state.node(name), state.node(other));
        let acknowledged = master.claim_acks & bit(other) != 0;
        let follows = node.upstream == name && node.id == master.id;
        (acknowledged || !rules.has_claim)
            && (node.uptime == self.bounds.lease || !rules.uptime)
            && match rules.evidence {
                Evidence::Acknowledged => acknowledged,
                Evidence::Follows => follows,
                Evidence::Partial => follows && node.id2 == master.id2 && node.id2 != NO_ID,
            }
    }

    /// `gate_open.lua` without the pause: a majority has shown that the new master has everything.
    pub(super) fn gate_open_fast(&self, state: &mut State, name: u8) -> Option<()> {
        let node = *state.node(name);
        if !state.has_own_record(name) || node.gate.phase != Phase::PendingFast {
            return None;
        }
        if self.rules.uptime && node.uptime < self.bounds.lease {
            return None;
        }
        let needed = match self.rules.majority_of {
            MajorityOf::Recorded => NODES as u32 / 2,
            MajorityOf::Connected => {
                let follow =
                    State::others(name).filter(|other| state.node(*other).upstream == name);
                follow.count().div_ceil(2) as u32
            }
        };
        if node.seen.count_ones() < needed {
            return None;
        }
        let gate = &mut state.node_mut(name).gate;
        (gate.phase, gate.left) = (Phase::Open, 0);
        self.log(state, name);
        Some(())
    }
}

/// Whether these nodes, together with the master, are a majority.
pub(super) fn is_majority(acks: u8) -> bool {
    acks.count_ones() >= NODES as u32 / 2
}
