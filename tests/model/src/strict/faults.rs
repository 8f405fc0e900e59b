//! What befalls the servers: replication, Sentinel's orders, restarts.

use super::Strict;
use super::rules::Incarnation;
use super::state::{Gate, Lock, NOBODY, State};
use super::steps::below;

impl Strict {
    pub(super) fn replicate(&self, state: &mut State, node: u8) -> Option<()> {
        let from = state.nodes[usize::from(node)].upstream;
        if from == node || !state.serves(usize::from(from)) {
            return None;
        }
        self.copy(state, node, from);
        Some(())
    }

    /// `node` now has all that `from` has, and acknowledges it.
    pub(super) fn copy(&self, state: &mut State, node: u8, from: u8) {
        let source = state.nodes[usize::from(from)];
        let target = &mut state.nodes[usize::from(node)];
        target.lock = source.lock;
        target.fence = source.fence;
        // What a copy says of its source's incarnation can never name the copy's own, except by run_id.
        let keeps_names = self.rules.incarnation == Incarnation::RunId;
        target.gate = if keeps_names || source.gate.of == NOBODY {
            source.gate
        } else {
            Gate::OF_THE_PAST
        };
        state.nodes[usize::from(from)].claim_acks |= 1 << node;
        for client in &mut state.clients {
            if client.write.node == from {
                client.write.acks |= 1 << node;
            }
        }
    }

    pub(super) fn promote(&self, state: &mut State, node: u8) -> Option<()> {
        if node == state.master {
            return None;
        }
        self.count_failover(state)?;
        self.end_incarnation(state, node, false);
        state.nodes[usize::from(node)].upstream = node;
        state.nodes[usize::from(node)].was_replica = true;
        state.master = node;
        Some(())
    }

    pub(super) fn repromote(&self, state: &mut State, node: u8) -> Option<()> {
        if self.rules.no_unbroken_repromotion
            || node == state.master
            || !state.serves(usize::from(node))
        {
            return None;
        }
        self.count_failover(state)?;
        state.master = node;
        if self.rules.epoch_in_record {
            let node = &mut state.nodes[usize::from(node)];
            (node.gate, node.claim_acks) = (Gate::OF_THE_PAST, 0);
        }
        Some(())
    }

    pub(super) fn count_failover(&self, state: &mut State) -> Option<()> {
        state.epoch = match self.bounds.failovers {
            Some(most) => below(state.epoch, most)?,
            None => 1,
        };
        // Whoever asks Sentinel again before it counts a write finds another epoch.
        for client in &mut state.clients {
            if self.asks_sentinel(client.write.kind) {
                (client.write.node, client.write.acks) = (NOBODY, 0);
            }
        }
        Some(())
    }

    pub(super) fn repoint(&self, state: &mut State, node: u8) -> Option<()> {
        self.follow(state, node, state.master)
    }

    pub(super) fn return_to(&self, state: &mut State, node: u8, to: u8) -> Option<()> {
        if self.rules.no_return
            || to == state.master
            || node == state.master
            || !state.serves(usize::from(to))
        {
            return None;
        }
        self.follow(state, node, to)
    }

    pub(super) fn follow(&self, state: &mut State, node: u8, upstream: u8) -> Option<()> {
        if node == upstream || state.nodes[usize::from(node)].upstream == upstream {
            return None;
        }
        if state.serves(usize::from(node)) {
            self.end_incarnation(state, node, false);
        }
        state.nodes[usize::from(node)].upstream = upstream;
        self.copy(state, node, upstream);
        Some(())
    }

    pub(super) fn restart(&self, state: &mut State, name: u8, empty: bool) -> Option<()> {
        let serves = state.serves(usize::from(name));
        if !empty && !serves {
            return None;
        }
        if let Some(most) = self.bounds.restarts {
            state.restarts = below(state.restarts, most)?;
        }
        self.end_incarnation(state, name, true);
        let node = &mut state.nodes[usize::from(name)];
        node.uptime = 0;
        node.was_replica = false;
        node.flushed = false;
        if empty {
            (node.lock, node.gate, node.fence) =
                (Lock::FREE, Gate::ABSENT, self.bounds.fence_behind());
        }
        Some(())
    }

    pub(super) fn restart_alone(&self, state: &mut State, node: u8) -> Option<()> {
        if self.rules.restarts_keep_role || state.serves(usize::from(node)) {
            return None;
        }
        self.restart(state, node, true)?;
        state.nodes[usize::from(node)].upstream = node;
        Some(())
    }

    pub(super) fn flush(&self, state: &mut State, name: u8) -> Option<()> {
        if !state.serves(usize::from(name)) {
            return None;
        }
        if let Some(most) = self.bounds.flushes {
            state.flushes = below(state.flushes, most)?;
        }
        let node = &mut state.nodes[usize::from(name)];
        (node.lock, node.gate, node.claim_acks) = (Lock::FREE, Gate::ABSENT, 0);
        node.fence = self.bounds.fence_behind();
        node.flushed = true;
        Some(())
    }

    pub(super) fn backlog_expiry(&self, state: &mut State, name: u8) -> Option<()> {
        let lonely = (0..)
            .zip(&state.nodes)
            .all(|(other, node)| other == name || node.upstream != name);
        if !lonely || !state.serves(usize::from(name)) {
            return None;
        }
        if let Some(most) = self.bounds.backlog_expiries {
            state.expiries = below(state.expiries, most)?;
        }
        self.end_incarnation(state, name, false);
        state.nodes[usize::from(name)].was_replica = false;
        Some(())
    }

    /// The node's incarnation is over: records that name it name the past, its connections die, and no write sent over
    /// them can gather acknowledgements any more.
    pub(super) fn end_incarnation(&self, state: &mut State, name: u8, restarted: bool) {
        if restarted || self.rules.incarnation == Incarnation::ReplicationId {
            for node in &mut state.nodes {
                if node.gate.of == name {
                    node.gate = Gate::OF_THE_PAST;
                }
            }
        }
        state.nodes[usize::from(name)].claim_acks = 0;
        for client in &mut state.clients {
            if client.write.node == name {
                client.write.node = NOBODY;
                client.write.acks = 0;
            }
        }
    }
}
