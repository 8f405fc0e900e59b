//! What anybody can have learned by now is noted, and what no later step reads is forgotten, so that equal futures are one
//! state.

use super::Takeover;
use super::gate::is_majority;
use super::state::{EVERYONE, Kind, NO_ID, NODES, Phase, Record, State, Write, bit};

impl Takeover {
    pub(super) fn forget_what_no_step_reads(&self, state: &mut State) {
        let (master, epoch) = (state.master, state.epoch);
        if state.serves(master) {
            let node = state.node_mut(master);
            node.views |= bit(epoch);
            node.named |= bit(epoch);
        }
        self.forget_writes(state);
        for name in 0..NODES as u8 {
            self.note_evidence(state, name);
            self.forget_record(state, name);
            self.forget_views(state, name);
        }
        self.forget_histories(state);
    }

    fn forget_writes(&self, state: &mut State) {
        for client in &mut state.clients {
            let write = &mut client.write;
            if write.kind != Kind::None && usize::from(write.node) >= NODES {
                match write.kind {
                    Kind::Acquire => (write.left, write.fence) = (self.bounds.lease, 0),
                    _ => *write = Write::NONE,
                }
            } else if is_majority(write.acks) {
                write.acks = EVERYONE & !bit(write.node);
            }
        }
    }

    /// The evidence for a claim may be read at any moment at which it can be seen.
    fn note_evidence(&self, state: &mut State, name: u8) {
        let is_pending = state.has_own_record(name) && state.node(name).gate.phase.is_pending();
        if !is_pending {
            let node = state.node_mut(name);
            (node.claim_acks, node.seen) = (0, 0);
            return;
        }
        let fast = state.node(name).gate.phase == Phase::PendingFast;
        let shows = |other: &u8| fast && self.is_evident(state, name, *other);
        let seen = State::others(name)
            .filter(shows)
            .fold(0, |all, other| all | bit(other));
        let node = state.node_mut(name);
        node.seen = if fast { node.seen | seen } else { 0 };
        if is_majority(node.claim_acks) && !fast {
            node.claim_acks = EVERYONE & !bit(name);
        }
    }

    /// A record counts where it is the incarnation's own; and where it can be the predecessor's of a claim to come.
    fn forget_record(&self, state: &mut State, name: u8) {
        let (rules, node) = (&self.rules, *state.node(name));
        let is_own = state.has_own_record(name);
        let predecessor = if state.serves(name) {
            node.id2
        } else {
            node.id
        };
        let names_it = node.gate.of == predecessor || !rules.record_names_predecessor;
        let may_be_open = node.gate.phase == Phase::Open || !rules.predecessor_was_open;
        let can_be_fast = rules.fast && names_it && may_be_open && node.gate.of != NO_ID;
        let keeps_counter = self.bounds.grants > 0 && node.gate.of != NO_ID;
        let keeps_absence = self.bounds.new_deployment && state.epoch == 0 && node.gate.of != NO_ID;
        let gate = &mut state.node_mut(name).gate;
        if !(is_own || can_be_fast || keeps_counter || keeps_absence) {
            *gate = Record::ABSENT;
        }
        let is_added = self.bounds.measured && can_be_fast;
        if !is_own && !is_added {
            gate.hold = 0;
        }
        if gate.hold == 0 {
            gate.wait = 0;
        }
        if !is_own && !can_be_fast {
            gate.clock = 0;
        }
        if !is_own {
            if gate.phase.is_pending() {
                gate.phase = Phase::Pending;
            }
            if self.bounds.grants == 0 {
                gate.resynced = false;
            }
        }
        if gate.is_open() {
            gate.resynced = false;
            (gate.known, gate.fence_at) = (0, 0);
        }
        if !is_own {
            state.node_mut(name).synced = false;
        }
    }

    fn forget_views(&self, state: &mut State, name: u8) {
        let serves = state.serves(name);
        let is_first = self.bounds.new_deployment && state.epoch == 0;
        let bounds = &self.bounds;
        let restarts = bounds.restarts + bounds.saves > 0;
        let node = state.node_mut(name);
        if !serves {
            node.views = 0;
        }
        if !serves || !self.rules.asks_for_old_views() {
            node.named = 0;
        }
        if !restarts && !is_first {
            node.uptime = bounds.lease;
        }
        if bounds.flushes == 0 {
            node.flushed = false;
        }
    }

    /// A former history counts where somebody may still come out of it, and a log's reach where that somebody is compared.
    fn forget_histories(&self, state: &mut State) {
        let now = *state;
        for name in 0..NODES as u8 {
            let (node, serves) = (now.node(name), now.serves(name));
            let is_used = if serves {
                let comes = |other: u8| {
                    let other = now.node(other);
                    other.id == node.id2 || (other.id == node.id && other.id2 == node.id2)
                };
                let saved = now.snapshot.is_some_and(|saved| saved.id == node.id2);
                State::others(name).any(comes) || node.gate.of == node.id2 || saved
            } else {
                let master = now.node(node.upstream);
                self.rules.fast && master.id == node.id && master.id2 == node.id2
            };
            let tells_age = self.bounds.new_deployment && now.epoch == 0;
            if !is_used && !tells_age {
                state.node_mut(name).id2 = NO_ID;
            }
            for other in State::others(name) {
                let of = now.node(other);
                let is_compared = match now.serves(other) {
                    true => node.id == of.id2,
                    false => node.id == of.id,
                };
                if !is_compared {
                    state.node_mut(name).beyond &= !bit(other);
                }
            }
        }
    }
}
