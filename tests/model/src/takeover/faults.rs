//! What befalls the servers: Sentinel's orders, restarts, flushes.

use super::Takeover;
use super::state::{Lock, NO_ID, Record, Snapshot, State, below, bit};

impl Takeover {
    pub(super) fn promote(&self, state: &mut State, name: u8) -> Option<()> {
        if name == state.master {
            return None;
        }
        self.count_failover(state)?;
        self.begin_incarnation(state, name, true);
        state.master = name;
        Some(())
    }

    /// The Sentinels name a deposed master that was never demoted: its incarnation goes on.
    pub(super) fn repromote(&self, state: &mut State, name: u8) -> Option<()> {
        if name == state.master || !state.serves(name) {
            return None;
        }
        self.count_failover(state)?;
        state.master = name;
        Some(())
    }

    fn count_failover(&self, state: &mut State) -> Option<()> {
        state.epoch = below(state.epoch, self.bounds.failovers)?;
        Some(())
    }

    /// A data node is made to follow any node that calls itself master, or follows it by itself.
    pub(super) fn follow(&self, state: &mut State, name: u8, to: u8) -> Option<()> {
        let follows = name == to || state.node(name).upstream == to;
        if follows || !state.serves(to) || name == state.master {
            return None;
        }
        if state.serves(name) {
            self.end_incarnation(state, name);
        }
        state.node_mut(name).upstream = to;
        self.synchronise(state, name, to, false);
        Some(())
    }

    /// The connections to the node end, and with them what was to be confirmed.
    fn end_incarnation(&self, state: &mut State, name: u8) {
        let node = state.node_mut(name);
        (node.claim_acks, node.seen, node.views, node.named) = (0, 0, 0, 0);
        node.synced = false;
        for client in &mut state.clients {
            if client.write.node == name {
                client.write.void();
            }
        }
    }

    /// A new `master_replid`; the former one is `master_replid2` where the history is continued.
    fn begin_incarnation(&self, state: &mut State, name: u8, continued: bool) {
        self.end_incarnation(state, name);
        let id = state.new_id();
        let node = state.node_mut(name);
        node.id2 = if continued { node.id } else { NO_ID };
        (node.id, node.upstream) = (id, name);
    }

    fn count_restart(&self, state: &mut State) -> Option<()> {
        state.restarts = below(state.restarts, self.bounds.restarts)?;
        Some(())
    }

    pub(super) fn restart_empty(&self, state: &mut State, name: u8) -> Option<()> {
        self.count_restart(state)?;
        let upstream = state.node(name).upstream;
        self.begin_incarnation(state, name, false);
        let node = state.node_mut(name);
        node.upstream = upstream;
        (node.lock, node.gate, node.counter) = (Lock::FREE, Record::ABSENT, 0);
        (node.uptime, node.flushed) = (0, false);
        self.empty_log(state, name);
        Some(())
    }

    /// The node finds all its data. A master goes on with its history under a new name; a replica with an append-only file
    /// does not know its history any more.
    pub(super) fn restart_with_data(&self, state: &mut State, name: u8) -> Option<()> {
        self.count_restart(state)?;
        let upstream = state.node(name).upstream;
        self.begin_incarnation(state, name, upstream == name);
        let node = state.node_mut(name);
        node.upstream = upstream;
        (node.uptime, node.flushed) = (0, false);
        Some(())
    }

    /// The replica finds all its data, and the history that it is of: it saved both when it was stopped.
    pub(super) fn restart_as_it_was(&self, state: &mut State, name: u8) -> Option<()> {
        if state.serves(name) {
            return None;
        }
        self.count_restart(state)?;
        state.node_mut(name).uptime = 0;
        Some(())
    }

    /// The node writes a snapshot.
    pub(super) fn save(&self, state: &mut State, name: u8) -> Option<()> {
        state.saves = below(state.saves, self.bounds.saves)?;
        let node = *state.node(name);
        let is_beyond = |other: &u8| state.node(*other).beyond & bit(name) != 0;
        state.snapshot = Some(Snapshot {
            node: name,
            id: node.id,
            lock: node.lock,
            gate: node.gate,
            counter: node.counter,
            beyond: node.beyond,
            behind: State::others(name)
                .filter(is_beyond)
                .fold(0, |all, other| all | bit(other)),
        });
        Some(())
    }

    /// Against the assumption: the node is back with what the snapshot has. A replica goes on with the snapshot's history,
    /// a master begins one that continues it.
    pub(super) fn restart_old(&self, state: &mut State, name: u8) -> Option<()> {
        let saved = state.snapshot.filter(|saved| saved.node == name)?;
        if self.rules.no_old_snapshots {
            return None;
        }
        state.snapshot = None;
        let serves = state.serves(name);
        self.end_incarnation(state, name);
        let node = state.node_mut(name);
        (node.id, node.id2) = (saved.id, NO_ID);
        (node.lock, node.gate, node.counter) = (saved.lock, saved.gate, saved.counter);
        (node.uptime, node.flushed) = (0, false);
        node.beyond = saved.beyond & !bit(name);
        for other in State::others(name) {
            let is_beyond = u8::from(saved.behind & bit(other) != 0);
            let beyond = &mut state.node_mut(other).beyond;
            *beyond = *beyond & !bit(name) | is_beyond << name;
        }
        if serves {
            self.begin_incarnation(state, name, true);
        }
        Some(())
    }

    pub(super) fn flush(&self, state: &mut State, name: u8) -> Option<()> {
        if !state.serves(name) {
            return None;
        }
        state.flushes = below(state.flushes, self.bounds.flushes)?;
        let node = state.node_mut(name);
        (node.lock, node.gate, node.counter) = (Lock::FREE, Record::ABSENT, 0);
        (node.claim_acks, node.synced, node.flushed) = (0, false, true);
        self.log(state, name);
        Some(())
    }

    /// A master without replicas drops its backlog: a new `master_replid`, and no second one.
    pub(super) fn drop_backlog(&self, state: &mut State, name: u8) -> Option<()> {
        let is_lonely = State::others(name).all(|other| state.node(other).upstream != name);
        if !is_lonely || !state.serves(name) {
            return None;
        }
        state.expiries = below(state.expiries, self.bounds.backlog_expiries)?;
        self.begin_incarnation(state, name, false);
        Some(())
    }
}
