//! What befalls the servers: replication, Sentinel's orders, restarts.

use super::Strict;
use super::rules::{GateCheck, Incarnation};
use super::state::{EVERYONE, Gate, Kind, Lock, NOBODY, State, below};

impl Strict {
    pub(super) fn replicate(&self, state: &mut State, node: u8) -> Option<()> {
        let from = state.nodes[usize::from(node)].upstream;
        if from == node || !state.serves(usize::from(from)) {
            return None;
        }
        self.synchronise(state, node, from);
        Some(())
    }

    /// The replica fell so far behind that the backlog does not reach: it is sent everything.
    pub(super) fn full_sync(&self, state: &mut State, node: u8) -> Option<()> {
        let from = state.nodes[usize::from(node)].upstream;
        if !self.rules.count_syncs || from == node || !state.serves(usize::from(from)) {
            return None;
        }
        self.count_sync(state, from);
        self.copy(state, node, from);
        Some(())
    }

    /// `PSYNC`: whoever has a history of its own is sent everything, and is counted before it acknowledges anything.
    fn synchronise(&self, state: &mut State, node: u8, from: u8) {
        if state.nodes[usize::from(node)].partial & (1 << from) == 0 {
            self.count_sync(state, from);
        }
        self.copy(state, node, from);
    }

    /// `sync_full` of `from` grows. Grants that are not confirmed yet will find it so.
    fn count_sync(&self, state: &mut State, from: u8) {
        if !self.rules.count_syncs {
            return;
        }
        state.nodes[usize::from(from)].synced = true;
        for client in &mut state.clients {
            let write = &mut client.write;
            let at_once = self.rules.gate_check != GateCheck::BehindWait;
            if write.node == from && write.kind == Kind::Acquire && at_once {
                (write.node, write.acks) = (NOBODY, 0);
            }
        }
    }

    /// `node` now has all that `from` has, and acknowledges it.
    pub(super) fn copy(&self, state: &mut State, node: u8, from: u8) {
        let source = state.nodes[usize::from(from)];
        let target = &mut state.nodes[usize::from(node)];
        target.lock = source.lock;
        target.fence = source.fence;
        target.partial = 1 << from;
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
        continue_history(state, node);
        state.master = node;
        Some(())
    }

    pub(super) fn repromote(&self, state: &mut State, node: u8) -> Option<()> {
        if self.rules.no_unbroken_repromotion
            || state.master == NOBODY
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
        if state.master == NOBODY {
            return None;
        }
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
        self.synchronise(state, node, upstream);
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
            node.partial = if serves { 1 << name } else { 0 };
        } else {
            continue_history(state, name);
        }
        Some(())
    }

    /// Against the assumption: the replica is back with what it had at some time before, so it may pass for one that
    /// has followed nobody else since.
    pub(super) fn restart_old(&self, state: &mut State, name: u8) -> Option<()> {
        if self.rules.no_old_snapshots || state.serves(usize::from(name)) {
            return None;
        }
        if let Some(most) = self.bounds.restarts {
            state.restarts = below(state.restarts, most)?;
        }
        state.nodes[usize::from(name)].partial = EVERYONE;
        Some(())
    }

    pub(super) fn restart_alone(&self, state: &mut State, node: u8) -> Option<()> {
        if self.rules.restarts_keep_role || state.serves(usize::from(node)) {
            return None;
        }
        self.restart(state, node, true)?;
        state.nodes[usize::from(node)].upstream = node;
        state.nodes[usize::from(node)].partial = 1 << node;
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
        state.nodes[usize::from(name)].partial = 1 << name;
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
        for node in &mut state.nodes {
            node.partial &= !(1 << name);
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

/// The node begins an incarnation that continues an earlier history (`master_replid2`). Whoever has not gone beyond that
/// history is synchronised partially. Whether someone has is not kept; to the adversary's favour nobody has, as long as
/// it follows no later writes of anyone else.
fn continue_history(state: &mut State, name: u8) {
    for node in &mut state.nodes {
        node.partial |= 1 << name;
    }
    state.nodes[usize::from(name)].partial = 1 << name;
}
