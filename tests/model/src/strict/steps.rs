//! The steps of clients, servers and Sentinel, and what each does to the state.
//!
//! The clients' steps bear the names of the scripts in `crates/lock/src/redis/scripts/`; `confirm` is `WAIT`. A script
//! runs on any node whose role is master: no client's view of Sentinel is kept, every view may be arbitrarily old.

use super::rules::{Incarnation, MajorityOf};
use super::state::{
    EVERYWHERE, Gate, Kind, Lock, NOBODY, NODES, Node, PAST, Phase, REPLICAS_FOR_MAJORITY, State, Write,
};
use super::{FENCES_PER_TICK, Strict};

/// One step of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A tick passes, for everyone.
    Tick,
    /// `acquire.lua` runs, sent `late` ticks ago.
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
    /// Against the assumption: a data node goes back to a deposed master.
    Return {
        /// The data node.
        node: u8,
        /// The deposed master.
        to: u8,
    },
    /// Against the assumption: Sentinel promotes a deposed master that never was demoted, so its incarnation goes on.
    Repromote {
        /// The deposed master.
        node: u8,
    },
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
            Step::GiveUp { client } => Some(self.give_up(&mut after, client)),
            Step::Release { node } => release(&mut after, node),
            Step::ForceRelease { node } => self.force_release(&mut after, node),
            Step::GateClaim { node } => self.gate_claim(&mut after, node),
            Step::GateOpen { node } => self.gate_open(&mut after, node),
            Step::Replicate { node } => self.replicate(&mut after, node),
            Step::Promote { node } => self.promote(&mut after, node),
            Step::Repoint { node } => self.repoint(&mut after, node),
            Step::RestartEmpty { node } => self.restart(&mut after, node, true),
            Step::RestartAlone { node } => self.restart_alone(&mut after, node),
            Step::RestartWithData { node } => self.restart(&mut after, node, false),
            Step::Flush { node } => self.flush(&mut after, node),
            Step::BacklogExpiry { node } => self.backlog_expiry(&mut after, node),
            Step::Return { node, to } => self.return_to(&mut after, node, to),
            Step::Repromote { node } => self.repromote(&mut after, node),
        };
        taken?;
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
        if client.write.kind != Kind::None {
            client.write.left -= 1;
        }
        let write_lapsed = client.write.left == 0;
        if write_lapsed {
            client.write = Write::NONE;
        }
        let renewal_may_come_late = !self.rules.void_late_renewals && client.write.kind == Kind::Renew;
        let has_nothing = client.lease == 0 && client.write.kind == Kind::None;
        let lapsed = held && client.lease == 0;
        if has_nothing || (lapsed && !renewal_may_come_late) {
            self.give_up(state, name);
        }
    }

    /// The client's token is given up; wherever a key still holds it, only its time or a release removes it.
    fn give_up(&self, state: &mut State, name: u8) {
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

    /// `acquire.lua`: refuses unless the gate is open for this incarnation; idempotent by token.
    fn acquire(&self, state: &mut State, client: u8, node: u8, late: u8) -> Option<()> {
        let at = usize::from(node);
        let asks = state.clients[usize::from(client)];
        let key = state.nodes[at].lock;
        let may = asks.lease == 0 && asks.write.kind != Kind::Renew && self.sentinel_allows(state, Kind::Acquire, node);
        if !may || !state.serves(at) || !state.gate_is_open(at) || (key.owner != NOBODY && key.owner != client) {
            return None;
        }
        let fence = if self.bounds.fences { self.next_fence(state, client, at)? } else { 0 };
        self.write(state, client, node, Kind::Acquire, late, fence);
        Some(())
    }

    /// `fence = max(stored + 1, server time, floor + 1)`.
    fn next_fence(&self, state: &mut State, client: u8, at: usize) -> Option<u8> {
        state.grants = below(state.grants, FENCES_PER_TICK)?;
        let server = &mut state.nodes[at];
        let asks = &mut state.clients[usize::from(client)];
        let time = self.bounds.fence_behind() + 1 + server.clock * FENCES_PER_TICK;
        let floor = if self.bounds.floors { asks.floor + 1 } else { 0 };
        server.fence = (server.fence + 1).max(time).max(floor);
        asks.floor = asks.floor.max(server.fence);
        Some(server.fence)
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

    /// `renew.lua`: extends the key; re-asserts a missing one as long as the gate is not open for this incarnation.
    fn renew(&self, state: &mut State, client: u8, node: u8, late: u8) -> Option<()> {
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
            NOBODY if !state.gate_is_open(at) || !self.rules.reassert_only_while_closed => {
                state.broken_lease_came_back |= asks.broken;
                let server = &mut state.nodes[at];
                server.fence = server.fence.max(asks.fence);
            }
            _ => return None,
        }
        self.write(state, client, node, Kind::Renew, late, asks.fence);
        Some(())
    }

    /// Sets the key, and remembers what `confirm` has to wait for.
    fn write(&self, state: &mut State, client: u8, node: u8, kind: Kind, late: u8, fence: u8) {
        state.nodes[usize::from(node)].lock = Lock { owner: client, left: self.bounds.lease };
        state.clients[usize::from(client)].write =
            Write { kind, node, acks: 0, left: self.bounds.lease - late, fence };
    }

    /// `WAIT` says that a majority has the write: only now does it count.
    fn confirm(&self, state: &mut State, client: u8) -> Option<()> {
        let write = state.clients[usize::from(client)].write;
        let needed = match write.kind {
            Kind::None => return None,
            Kind::Acquire => self.rules.confirm_grants,
            Kind::Renew => self.rules.confirm_renewals,
        };
        if needed && write.node != EVERYWHERE && !self.is_majority(state, write.node, write.acks) {
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

    /// Where a rule asks Sentinel before and after: whether Sentinel names this node.
    fn sentinel_allows(&self, state: &State, kind: Kind, node: u8) -> bool {
        state.master == node || !self.asks_sentinel(kind)
    }

    fn asks_sentinel(&self, kind: Kind) -> bool {
        match kind {
            Kind::None => false,
            Kind::Acquire => self.rules.grants_ask_sentinel,
            Kind::Renew => self.rules.renewals_ask_sentinel,
        }
    }

    /// Whether `acks`, together with the master `node` itself, are a majority.
    fn is_majority(&self, state: &State, node: u8, acks: u8) -> bool {
        if usize::from(node) >= NODES {
            return false;
        }
        let needed = match self.rules.majority_of {
            MajorityOf::Configured => REPLICAS_FOR_MAJORITY,
            MajorityOf::Connected => {
                let attached = (0..).zip(&state.nodes).filter(|(name, each)| *name != node && each.upstream == node);
                attached.count().div_ceil(2) as u32
            }
        };
        acks.count_ones() >= needed
    }

    /// `gate_claim.lua`: writes `pending` for this incarnation where the record is absent or another's.
    fn gate_claim(&self, state: &mut State, name: u8) -> Option<()> {
        let at = usize::from(name);
        let rules = &self.rules;
        if !state.serves(at) || state.nodes[at].gate.of == name || (rules.claim_asks_sentinel && state.master != name) {
            return None;
        }
        let node = &mut state.nodes[at];
        let absent = node.gate.of == NOBODY;
        let new_deployment = absent
            && !node.was_replica
            && (state.epoch == 0 || !rules.new_only_at_epoch_zero)
            && (!node.flushed || !rules.new_only_unflushed);
        let at_once = new_deployment || (absent && !rules.absent_record_waits);
        let phase = if at_once { Phase::PendingNew } else { Phase::Pending };
        node.gate = Gate { of: name, phase, left: 0 };
        node.claim_acks = 0;
        Some(())
    }

    /// `gate_open.lua`: once a majority has the claim, writes `open_from`.
    fn gate_open(&self, state: &mut State, name: u8) -> Option<()> {
        let node = state.nodes[usize::from(name)];
        let pending = matches!(node.gate.phase, Phase::Pending | Phase::PendingNew);
        if node.gate.of != name || !pending || !state.serves(usize::from(name)) {
            return None;
        }
        if self.rules.confirm_gate && !self.is_majority(state, name, node.claim_acks) {
            return None;
        }
        let pause = self.bounds.lease.saturating_sub(self.rules.gate_short_by);
        let left = match node.gate.phase {
            Phase::PendingNew if self.rules.new_counts_uptime => pause.saturating_sub(node.uptime),
            Phase::PendingNew => 0,
            _ => pause,
        };
        state.nodes[usize::from(name)].gate = Gate { of: name, phase: Phase::Open, left };
        Some(())
    }

    /// The operator takes the lease away. From now on its holder is not counted, although it does not know yet.
    fn force_release(&self, state: &mut State, name: u8) -> Option<()> {
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

    fn replicate(&self, state: &mut State, node: u8) -> Option<()> {
        let from = state.nodes[usize::from(node)].upstream;
        if from == node || !state.serves(usize::from(from)) {
            return None;
        }
        self.copy(state, node, from);
        Some(())
    }

    /// `node` now has all that `from` has, and acknowledges it.
    fn copy(&self, state: &mut State, node: u8, from: u8) {
        let source = state.nodes[usize::from(from)];
        let target = &mut state.nodes[usize::from(node)];
        target.lock = source.lock;
        target.fence = source.fence;
        // What a copy says of its source's incarnation can never name the copy's own, except by run_id.
        let keeps_names = self.rules.incarnation == Incarnation::RunId;
        target.gate = if keeps_names || source.gate.of == NOBODY { source.gate } else { Gate::OF_THE_PAST };
        state.nodes[usize::from(from)].claim_acks |= 1 << node;
        for client in &mut state.clients {
            if client.write.node == from {
                client.write.acks |= 1 << node;
            }
        }
    }

    fn promote(&self, state: &mut State, node: u8) -> Option<()> {
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

    fn repromote(&self, state: &mut State, node: u8) -> Option<()> {
        if self.rules.no_unbroken_repromotion || node == state.master || !state.serves(usize::from(node)) {
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

    fn count_failover(&self, state: &mut State) -> Option<()> {
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

    fn repoint(&self, state: &mut State, node: u8) -> Option<()> {
        self.follow(state, node, state.master)
    }

    fn return_to(&self, state: &mut State, node: u8, to: u8) -> Option<()> {
        if self.rules.no_return || to == state.master || node == state.master || !state.serves(usize::from(to)) {
            return None;
        }
        self.follow(state, node, to)
    }

    fn follow(&self, state: &mut State, node: u8, upstream: u8) -> Option<()> {
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

    fn restart(&self, state: &mut State, name: u8, empty: bool) -> Option<()> {
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
            (node.lock, node.gate, node.fence) = (Lock::FREE, Gate::ABSENT, self.bounds.fence_behind());
        }
        Some(())
    }

    fn restart_alone(&self, state: &mut State, node: u8) -> Option<()> {
        if self.rules.restarts_keep_role || state.serves(usize::from(node)) {
            return None;
        }
        self.restart(state, node, true)?;
        state.nodes[usize::from(node)].upstream = node;
        Some(())
    }

    fn flush(&self, state: &mut State, name: u8) -> Option<()> {
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

    fn backlog_expiry(&self, state: &mut State, name: u8) -> Option<()> {
        let lonely = (0..).zip(&state.nodes).all(|(other, node)| other == name || node.upstream != name);
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
    fn end_incarnation(&self, state: &mut State, name: u8, restarted: bool) {
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

    /// Sets to a fixed value what no later step can tell apart, so that equal futures are one state.
    fn forget_what_no_step_reads(&self, state: &mut State) {
        for client in &mut state.clients {
            if client.write.acks.count_ones() >= REPLICAS_FOR_MAJORITY {
                (client.write.node, client.write.acks) = (EVERYWHERE, 0);
            }
            let dead = client.write.node == NOBODY && client.write.kind == Kind::Renew;
            if dead && client.lease > 0 && self.rules.confirm_renewals {
                client.write = Write::NONE;
            }
        }
        // The exception for new deployments can be claimed at epoch nought only, where no one but the first master has
        // replicas; a claim that was made by it lives on.
        let claimable = !self.rules.new_only_at_epoch_zero || !self.rules.absent_record_waits;
        for (name, node) in (0..).zip(&mut state.nodes) {
            let pending = node.gate.of == name && matches!(node.gate.phase, Phase::Pending | Phase::PendingNew);
            if !pending {
                node.claim_acks = 0;
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

/// `release.lua`: compare and delete, of a token that its client has given up.
fn release(state: &mut State, name: u8) -> Option<()> {
    let serves = state.serves(usize::from(name));
    let node = &mut state.nodes[usize::from(name)];
    if !serves || node.lock.owner != PAST {
        return None;
    }
    node.lock = Lock::FREE;
    Some(())
}

/// The next number, as long as it does not exceed the bound.
fn below(count: u8, most: u8) -> Option<u8> {
    (count < most).then_some(count + 1)
}
