//! Replication: who copies from whom, partially or fully, and what is counted of it.

use super::Takeover;
use super::state::{EVERYONE, Lock, NO_ID, Record, State, bit};

impl Takeover {
    /// A write on a master: its log is no prefix of any other's now.
    pub(super) fn log(&self, state: &mut State, name: u8) {
        state.node_mut(name).beyond = EVERYONE & !bit(name);
        if let Some(saved) = &mut state.snapshot {
            saved.behind |= bit(name);
        }
    }

    /// A replica catches up; `full`: the backlog does not reach.
    pub(super) fn replicate(&self, state: &mut State, name: u8, full: bool) -> Option<()> {
        let from = state.node(name).upstream;
        if from == name || !state.serves(from) {
            return None;
        }
        self.synchronise(state, name, from, full);
        Some(())
    }

    /// `PSYNC`: partial within one history, and out of the master's former one if the replica has nothing beyond it.
    pub(super) fn synchronise(&self, state: &mut State, name: u8, from: u8, full: bool) {
        let (node, source) = (*state.node(name), *state.node(from));
        let of_former = node.id == source.id2 && node.id != NO_ID && node.beyond & bit(from) == 0;
        if full || !(node.id == source.id || of_former) {
            self.count_sync(state, from);
            state.node_mut(name).id2 = NO_ID;
        } else if node.id != source.id {
            state.node_mut(name).id2 = node.id;
        }
        state.node_mut(name).id = source.id;
        self.copy(state, name, from);
    }

    /// `sync_full` of `from` grows. What the Sentinels said before tells nothing about the new count.
    fn count_sync(&self, state: &mut State, from: u8) {
        if self.rules.count_syncs {
            state.node_mut(from).synced = true;
            state.node_mut(from).views = 0;
        }
    }

    /// `name` has all that `from` has, and acknowledges it.
    fn copy(&self, state: &mut State, name: u8, from: u8) {
        let source = *state.node(from);
        let target = state.node_mut(name);
        // Expiries are absolute, so they are moved by the clocks' difference.
        let here = |left: u8| (left + source.clock).saturating_sub(target.clock);
        target.lock = match here(source.lock.left) {
            0 => Lock::FREE,
            left => Lock {
                left,
                ..source.lock
            },
        };
        target.gate = Record {
            left: if source.gate.left > 0 {
                here(source.gate.left)
            } else {
                0
            },
            ..source.gate
        };
        target.counter = source.counter;
        target.beyond = source.beyond & !bit(name) & !bit(from);
        state.node_mut(from).beyond &= !bit(name);
        let as_from = |set: u8| set & !bit(name) | u8::from(set & bit(from) != 0) << name;
        for other in State::others(name).filter(|other| *other != from) {
            let beyond = &mut state.node_mut(other).beyond;
            *beyond = as_from(*beyond);
        }
        if let Some(saved) = &mut state.snapshot {
            (saved.beyond, saved.behind) = (as_from(saved.beyond), as_from(saved.behind));
        }
        state.node_mut(from).claim_acks |= bit(name);
        for client in &mut state.clients {
            if client.write.node == from {
                client.write.acks |= bit(name);
            }
        }
    }

    /// The node's log begins anew, with nothing in it.
    pub(super) fn empty_log(&self, state: &mut State, name: u8) {
        state.node_mut(name).beyond = 0;
        for other in State::others(name) {
            state.node_mut(other).beyond |= bit(name);
        }
        if let Some(saved) = &mut state.snapshot {
            saved.beyond |= bit(name);
            saved.behind &= !bit(name);
        }
    }
}
