//! What clients do. Each function bears the name of its script in `crates/lock/src/protocol/scripts/`; `confirm` is `WAIT`.
//!
//! A script runs on any node whose role is master: no client's view of Sentinel is kept, every view may be arbitrarily
//! old. Where a rule asks Sentinel, its answer is that of the moment.

use super::rules::{GateCheck, MajorityOf};
use super::state::{
    EVERYONE, EVERYWHERE, Gate, Kind, Lock, NOBODY, NODES, Node, PAST, Phase,
    REPLICAS_FOR_MAJORITY, State, Write, below,
};
use super::{FENCES_PER_TICK, Strict};

impl Strict {
    /// The client's token is given up; wherever a key still holds it, only its time or a release removes it.
    pub(super) fn give_up(&self, state: &mut State, name: u8) {
        let client = &mut state.clients[usize::from(name)];
        client.lease = 0;
        client.write = Write::NONE;
        client.fence = self.bounds.fence_behind();
        client.broken = false;
        for node in &mut state.nodes {
            if node.lock.owner == name {
                node.lock.owner = PAST;
            }
        }
    }

    /// `SET NX` and what belongs to it, where the client has known the gate to be open; by now it may have been closed again, or
    /// flushed. The script asks the gate first. Idempotent by token.
    pub(super) fn acquire(&self, state: &mut State, client: u8, node: u8, late: u8) -> Option<()> {
        let at = usize::from(node);
        let asks = state.clients[usize::from(client)];
        let key = state.nodes[at].lock;
        let may = asks.lease == 0
            && asks.write.kind != Kind::Renew
            && self.sentinel_allows(state, Kind::Acquire, node);
        let by_script = self.rules.gate_check == GateCheck::InScript;
        let refused = !state.gate_is_open(at) && (by_script || !state.gate_was_open(at));
        if !may || !state.serves(at) || refused || (key.owner != NOBODY && key.owner != client) {
            return None;
        }
        let fence = if self.bounds.fences {
            self.next_fence(state, client, at)?
        } else {
            0
        };
        self.write(state, client, node, Kind::Acquire, late, fence);
        Some(())
    }

    /// `fence = max(stored + 1, server time, floor + 1)`.
    pub(super) fn next_fence(&self, state: &mut State, client: u8, at: usize) -> Option<u8> {
        state.grants = below(state.grants, FENCES_PER_TICK)?;
        let server = &mut state.nodes[at];
        let asks = &mut state.clients[usize::from(client)];
        let time = self.bounds.fence_behind() + 1 + server.clock * FENCES_PER_TICK;
        let floor = if self.bounds.floors {
            asks.floor + 1
        } else {
            0
        };
        server.fence = (server.fence + 1).max(time).max(floor);
        asks.floor = asks.floor.max(server.fence);
        Some(server.fence)
    }

    /// `renew.lua`: extends the key; re-asserts a missing one as long as the gate is not open for this incarnation.
    pub(super) fn renew(&self, state: &mut State, client: u8, node: u8, late: u8) -> Option<()> {
        let at = usize::from(node);
        let asks = state.clients[usize::from(client)];
        if asks.lease == 0 || !state.serves(at) || !self.sentinel_allows(state, Kind::Renew, node) {
            return None;
        }
        if self.rules.renew_needs_claim && state.nodes[at].gate.of != node {
            return None;
        }
        match state.nodes[at].lock.owner {
            owner if owner == client => {}
            NOBODY if self.may_reassert(state, at) => {
                state.broken_lease_came_back |= asks.broken;
                let server = &mut state.nodes[at];
                server.fence = server.fence.max(asks.fence);
            }
            _ => return None,
        }
        self.write(state, client, node, Kind::Renew, late, asks.fence);
        Some(())
    }

    /// A gate that has been open on this incarnation may have let somebody in.
    fn may_reassert(&self, state: &State, at: usize) -> bool {
        let gate = state.nodes[at].gate;
        let closed_anew =
            usize::from(gate.of) == at && gate.resynced && self.rules.resynced_refuses;
        !self.rules.reassert_only_while_closed || !(closed_anew || state.gate_is_open(at))
    }

    /// Sets the key, and remembers what `confirm` has to wait for.
    pub(super) fn write(
        &self,
        state: &mut State,
        client: u8,
        node: u8,
        kind: Kind,
        late: u8,
        fence: u8,
    ) {
        state.nodes[usize::from(node)].lock = Lock {
            owner: client,
            left: self.bounds.lease,
        };
        let is_void = kind == Kind::Acquire && self.is_void(state, usize::from(node));
        state.clients[usize::from(client)].write = Write {
            kind,
            node: if is_void { NOBODY } else { node },
            acks: 0,
            left: self.bounds.lease - late,
            fence,
        };
    }

    /// Whether a grant that runs now can never count: by a script, if the record no longer counts all full
    /// synchronisations; by plain commands, if the claim under which the client knew the gate to be open is replaced.
    fn is_void(&self, state: &State, at: usize) -> bool {
        match self.rules.gate_check {
            GateCheck::InScript | GateCheck::Nowhere => state.nodes[at].synced,
            GateCheck::BehindWait => self.rules.bind_grants && !state.gate_is_open(at),
        }
    }

    /// `WAIT` says that a majority has the write: only now does it count. A grant is looked at once more.
    pub(super) fn confirm(&self, state: &mut State, client: u8) -> Option<()> {
        let write = state.clients[usize::from(client)].write;
        let needed = match write.kind {
            Kind::None => return None,
            Kind::Acquire => self.rules.confirm_grants,
            Kind::Renew => self.rules.confirm_renewals,
        };
        if needed && write.node != EVERYWHERE && !self.is_majority(state, write.node, write.acks) {
            return None;
        }
        if self.looks_behind_wait(write.kind) && !self.look_allows(state, write.kind, write.node) {
            return None;
        }
        let holder = &mut state.clients[usize::from(client)];
        holder.lease = holder.lease.max(write.left);
        holder.write = Write::NONE;
        if write.kind == Kind::Acquire && self.bounds.fences {
            holder.fence = write.fence;
            state.fence_went_back |= write.fence <= state.top_fence;
            state.top_fence = state.top_fence.max(write.fence);
        }
        Some(())
    }

    /// Whether another claim voids the write.
    fn is_bound(&self, kind: Kind) -> bool {
        kind == Kind::Acquire && self.rules.gate_check == GateCheck::BehindWait
    }

    /// Whether the write counts only after a look at the master behind its `WAIT`.
    pub(super) fn looks_behind_wait(&self, kind: Kind) -> bool {
        match kind {
            Kind::None => false,
            Kind::Acquire => self.rules.gate_check == GateCheck::BehindWait,
            Kind::Renew => self.rules.look_at_renewals,
        }
    }

    /// The look behind `WAIT`: still a master, still this incarnation, its own record, `sync_full` as recorded; and for a
    /// grant an open gate.
    fn look_allows(&self, state: &State, kind: Kind, node: u8) -> bool {
        let at = usize::from(node);
        at < NODES
            && state.serves(at)
            && state.nodes[at].gate.of == node
            && !state.nodes[at].synced
            && (kind == Kind::Renew || state.gate_is_open(at))
    }

    /// Where a rule asks Sentinel before and after: whether Sentinel names this node.
    pub(super) fn sentinel_allows(&self, state: &State, kind: Kind, node: u8) -> bool {
        state.master == node || !self.asks_sentinel(kind)
    }

    pub(super) fn asks_sentinel(&self, kind: Kind) -> bool {
        match kind {
            Kind::None => false,
            Kind::Acquire => self.rules.grants_ask_sentinel,
            Kind::Renew => self.rules.renewals_ask_sentinel,
        }
    }

    /// Whether `acks`, together with the master `node` itself, are a majority.
    pub(super) fn is_majority(&self, state: &State, node: u8, acks: u8) -> bool {
        if usize::from(node) >= NODES {
            return false;
        }
        let needed = match self.rules.majority_of {
            MajorityOf::Configured => REPLICAS_FOR_MAJORITY,
            MajorityOf::Connected => {
                let attached = (0..)
                    .zip(&state.nodes)
                    .filter(|(name, each)| *name != node && each.upstream == node);
                attached.count().div_ceil(2) as u32
            }
        };
        acks.count_ones() >= needed
    }

    /// `gate_claim.lua`: writes `pending` for this incarnation where the record is absent or another's, or where a
    /// replica was sent everything since the record was written.
    pub(super) fn gate_claim(&self, state: &mut State, name: u8) -> Option<()> {
        let at = usize::from(name);
        let rules = &self.rules;
        if !state.serves(at) || (rules.claim_asks_sentinel && state.master != name) {
            return None;
        }
        let epoch = state.epoch;
        let node = &mut state.nodes[at];
        let before = node.gate;
        let is_ours = before.of == name;
        let is_first =
            is_ours && before.phase.is_first() && (epoch == 0 || !rules.pardon_only_at_epoch_zero);
        if is_ours && before.phase.has_time() && (!node.synced || is_first) {
            node.synced = false;
            return Some(());
        }
        let at_once = is_first || self.is_new_deployment(node, epoch);
        node.gate = Gate {
            of: name,
            phase: if at_once {
                Phase::PendingNew
            } else {
                Phase::Pending
            },
            left: 0,
            resynced: is_ours && (before.phase.has_time() || before.resynced),
        };
        node.synced = false;
        if self.rules.bind_grants {
            for client in &mut state.clients {
                if client.write.node == name && self.is_bound(client.write.kind) {
                    (client.write.node, client.write.acks) = (NOBODY, 0);
                }
            }
        }
        // Whoever learned that an earlier claim of this incarnation was confirmed may run `gate_open` only now.
        node.claim_acks = match (is_ours, before.phase.has_time()) {
            (true, true) => EVERYONE & !(1 << name),
            (true, false) => node.claim_acks,
            (false, _) => 0,
        };
        Some(())
    }

    /// The exception: no record, no earlier history, no failover, nothing flushed.
    fn is_new_deployment(&self, node: &Node, epoch: u8) -> bool {
        let rules = &self.rules;
        let is_new = !node.was_replica
            && (epoch == 0 || !rules.new_only_at_epoch_zero)
            && (!node.flushed || !rules.new_only_unflushed);
        node.gate.of == NOBODY && (is_new || !rules.absent_record_waits)
    }

    /// `gate_open.lua`: once a majority has the claim, writes `open_from`.
    pub(super) fn gate_open(&self, state: &mut State, name: u8) -> Option<()> {
        let node = state.nodes[usize::from(name)];
        let before = node.gate;
        if before.of != name || !before.phase.is_pending() || !state.serves(usize::from(name)) {
            return None;
        }
        if self.rules.confirm_gate && !self.is_majority(state, name, node.claim_acks) {
            return None;
        }
        let pause = self.bounds.lease.saturating_sub(self.rules.gate_short_by);
        let (phase, left) = match before.phase {
            Phase::PendingNew if self.rules.new_counts_uptime => {
                (Phase::OpenNew, pause.saturating_sub(node.uptime))
            }
            Phase::PendingNew => (Phase::OpenNew, 0),
            _ => (Phase::Open, pause),
        };
        state.nodes[usize::from(name)].gate = Gate {
            phase,
            left,
            ..before
        };
        Some(())
    }

    /// `release.lua`: compare and delete, of a token that its client has given up.
    pub(super) fn release(&self, state: &mut State, name: u8) -> Option<()> {
        let serves = state.serves(usize::from(name));
        let node = &mut state.nodes[usize::from(name)];
        if !serves || node.lock.owner != PAST {
            return None;
        }
        node.lock = Lock::FREE;
        Some(())
    }

    /// The operator takes the lease away. From now on its holder is not counted, although it does not know yet.
    pub(super) fn force_release(&self, state: &mut State, name: u8) -> Option<()> {
        let key = state.nodes[usize::from(name)].lock;
        if !self.bounds.force_releases || !state.serves(usize::from(name)) || key == Lock::FREE {
            return None;
        }
        state.nodes[usize::from(name)].lock = Lock::FREE;
        if let Some(holder) = state.clients.get_mut(usize::from(key.owner)) {
            holder.broken = true;
        }
        Some(())
    }
}
