//! What clients and operators do, on any node that calls itself master.

use super::Takeover;
use super::gate::is_majority;
use super::state::{Kind, Lock, NO_ID, NOBODY, PAST, Record, State, Write, below};

impl Takeover {
    /// Clients know the gate to have been open; by now it may have been closed again, or flushed.
    fn was_known_open(&self, state: &State, name: u8) -> bool {
        let gate = state.node(name).gate;
        let is_flushed = gate.of == NO_ID && state.node(name).flushed;
        is_flushed || (state.has_own_record(name) && gate.was_open())
    }

    /// `SET NX` and what belongs to it; asked again with the same token, it finds its own.
    pub(super) fn acquire(&self, state: &mut State, name: u8, at: u8, late: u8) -> Option<()> {
        let client = *state.client(name);
        let owner = state.node(at).lock.owner;
        let may = client.lease == 0 && client.write.kind != Kind::Renew;
        if !may || !state.serves(at) || !self.was_known_open(state, at) {
            return None;
        }
        if owner != NOBODY && owner != name {
            return None;
        }
        let fence = self.next_fence(state, at)?;
        self.set(state, name, at, Kind::Acquire, late, fence);
        if self.rules.bind_grants && !state.node(at).gate.is_open() {
            state.client_mut(name).write.void();
        }
        Some(())
    }

    /// `INCR`, where fences are counted.
    fn next_fence(&self, state: &mut State, at: u8) -> Option<u8> {
        if self.bounds.grants == 0 {
            return Some(0);
        }
        state.grants = below(state.grants, self.bounds.grants)?;
        state.node_mut(at).counter += 1;
        Some(state.node(at).counter)
    }

    /// `renew.lua`: extends the key, re-asserts a missing one, and takes it from an older grant, the latter two only as long
    /// as the gate has not been open.
    pub(super) fn renew(&self, state: &mut State, name: u8, at: u8, late: u8) -> Option<()> {
        let (client, node) = (*state.client(name), *state.node(at));
        let has_record = state.has_own_record(at);
        let unclaimed = self.rules.claim_first && !has_record;
        if client.lease == 0 || !state.serves(at) || unclaimed {
            return None;
        }
        let was_open = has_record && node.gate.was_open();
        let known = if was_open { 0 } else { node.gate.known };
        let allowed = known <= client.fence
            && match node.lock.owner {
                owner if owner == name => true,
                NOBODY => !was_open,
                _ => has_record && !was_open && self.is_older(&node.gate, &client.fence),
            };
        if !allowed {
            return self.refuse(state, name, at, was_open);
        }
        let is_taken = node.lock.owner < state.crew && node.lock.owner != name;
        state.robbed |= is_taken && node.lock.fence > client.fence;
        state.revoked_came_back |= client.revoked_on == node.id;
        if self.rules.companion && self.bounds.grants > 0 && !was_open {
            state.node_mut(at).gate.known = client.fence;
        }
        self.set(state, name, at, Kind::Renew, late, client.fence);
        state.client_mut(name).write.again = client.handed_over && client.revoked_on != node.id;
        Some(())
    }

    /// Whether the grant that holds the key of another is older than this fence. One that has left no fence comes from the
    /// data that the claim found.
    fn is_older(&self, gate: &Record, fence: &u8) -> bool {
        let at_claim = if self.rules.take_by_counter {
            gate.fence_at
        } else {
            0
        };
        self.bounds.grants > 0 && (gate.known > 0 || *fence > at_claim)
    }

    /// A refusal is remembered where it does a holder wrong: the Sentinels' master has an older grant's key.
    fn refuse(&self, state: &mut State, name: u8, at: u8, was_open: bool) -> Option<()> {
        let (client, lock) = (state.client(name), state.node(at).lock);
        let is_older = lock.owner != NOBODY && lock.fence < client.fence;
        let wrong = is_older && !was_open && client.revoked_on == NO_ID && state.master == at;
        if !wrong || state.robbed {
            return None;
        }
        state.robbed = true;
        Some(())
    }

    /// Sets the key, and remembers what `WAIT` has to confirm.
    fn set(&self, state: &mut State, name: u8, at: u8, kind: Kind, late: u8, fence: u8) {
        let lease = self.bounds.lease;
        state.node_mut(at).lock = Lock {
            owner: name,
            left: lease,
            fence,
        };
        let mut write = Write {
            kind,
            node: at,
            left: lease - late,
            fence,
            ..Write::NONE
        };
        if self.is_held_back(state, write) {
            write.held = self.hold_of(&state.node(at).gate);
        }
        state.client_mut(name).write = write;
        self.log(state, at);
    }

    /// `WAIT` says that a majority has the write, and the look behind it says that the write counts.
    pub(super) fn confirm(&self, state: &mut State, name: u8) -> Option<()> {
        let write = state.client(name).write;
        let dead = write.kind == Kind::None || write.node == NOBODY;
        if dead || !is_majority(write.acks) || !self.look_allows(state, write) {
            return None;
        }
        if self.rules.write_again && self.is_held_back(state, write) && !write.rewritten {
            return self.write_again(state, name);
        }
        let waits = write.kind == Kind::Renew && self.giver_waits(state, name, write.node);
        if waits {
            return None;
        }
        let client = state.client_mut(name);
        if write.again {
            // It holds again, whoever has taken it over.
            (client.revoked_on, client.handed_over) = (NO_ID, false);
        }
        client.lease = client.lease.max(write.left);
        client.write = Write::NONE;
        let was_revoked = client.revoked_on != NO_ID;
        if write.kind == Kind::Acquire && self.bounds.grants > 0 {
            client.fence = write.fence;
        }
        if write.kind == Kind::Acquire && self.bounds.grants > 0 && !was_revoked {
            state.fence_went_back |= write.fence <= state.top_fence;
            state.top_fence = state.top_fence.max(write.fence);
        }
        Some(())
    }

    /// Whether the lease was handed over and gains nothing by a renewal here: another client may hold it, and the gate has
    /// not been closed for as long as that one may.
    fn giver_waits(&self, state: &State, name: u8, at: u8) -> bool {
        let client = state.client(name);
        let is_elsewhere = client.revoked_on != state.node(at).id;
        let is_closed = !state.node(at).gate.is_open();
        self.rules.giver_waits && client.handed_over && is_elsewhere && is_closed
    }

    /// Still a master of this incarnation, its own record, `sync_full` as recorded; and for a grant an open gate, and the
    /// clocks' difference passed.
    fn look_allows(&self, state: &State, write: Write) -> bool {
        let node = state.node(write.node);
        let counts = state.has_own_record(write.node) && !node.synced;
        match write.kind {
            Kind::Renew => counts || !self.rules.look_at_renewals,
            _ if !self.rules.look_at_gate => true,
            _ => {
                let is_held = self.is_held_back(state, write) && node.gate.hold > self.bounds.lease;
                counts && node.gate.is_open() && (write.held == 0 || !is_held)
            }
        }
    }

    /// How far the clock of this master may be ahead of the last one's.
    fn hold_of(&self, gate: &Record) -> u8 {
        match self.bounds.measured {
            true => gate.wait,
            false => self.bounds.skew,
        }
    }

    /// Whether a grant may have been written while leases of the last master ran by a clock that is behind this one.
    fn is_held_back(&self, state: &State, write: Write) -> bool {
        let gate = state.node(write.node).gate;
        let is_held = self.bounds.skew > 0 && gate.hold > 0 && self.hold_of(&gate) > 0;
        self.rules.hold && write.kind == Kind::Acquire && is_held
    }

    /// The grant was held back. It is written once more: whoever acknowledged it may have left since, and then
    /// acknowledges what prolongs a lease of the last master.
    fn write_again(&self, state: &mut State, name: u8) -> Option<()> {
        let at = state.client(name).write.node;
        if state.node(at).lock.owner != name {
            return None;
        }
        state.node_mut(at).lock.left = self.bounds.lease;
        let write = &mut state.client_mut(name).write;
        (write.acks, write.rewritten) = (0, true);
        self.log(state, at);
        Some(())
    }

    /// The token is given up; wherever a key still holds it, only its time or a release removes it.
    pub(super) fn give_up(&self, state: &mut State, name: u8) {
        let client = state.client_mut(name);
        (client.lease, client.write) = (0, Write::NONE);
        (client.fence, client.revoked_on, client.handed_over) = (0, NO_ID, false);
        let of_nodes = state.nodes.iter_mut().map(|node| &mut node.lock);
        let of_snapshot = state.snapshot.iter_mut().map(|saved| &mut saved.lock);
        for lock in of_nodes.chain(of_snapshot) {
            if lock.owner == name {
                lock.owner = PAST;
            }
        }
    }

    /// `release.lua`: compare and delete, of a token that was given up.
    pub(super) fn release(&self, state: &mut State, at: u8) -> Option<()> {
        if !state.serves(at) || state.node(at).lock.owner != PAST {
            return None;
        }
        state.node_mut(at).lock = Lock::FREE;
        self.log(state, at);
        Some(())
    }

    /// `adopt.lua`: the key goes from the giver to another client, with a greater fence, behind an open gate.
    pub(super) fn adopt(&self, state: &mut State, name: u8, at: u8) -> Option<()> {
        let (client, giver) = (*state.client(name), state.node(at).lock.owner);
        let is_idle = client.lease == 0 && client.write.kind == Kind::None;
        let is_open = state.has_own_record(at) && state.node(at).gate.is_open();
        let is_held = giver < state.crew && giver != name && state.client(giver).lease > 0;
        if !self.bounds.revocations || !is_idle || !is_open || !is_held {
            return None;
        }
        let id = state.node(at).id;
        let lease = state.client_mut(giver);
        (lease.revoked_on, lease.handed_over) = (id, true);
        let fence = self.next_fence(state, at)?;
        self.set(state, name, at, Kind::Acquire, 0, fence);
        Some(())
    }

    /// `force_release.lua`: deletes the key, and raises the counter.
    pub(super) fn force_release(&self, state: &mut State, at: u8) -> Option<()> {
        let owner = state.node(at).lock.owner;
        let unclaimed = self.rules.claim_first && !state.has_own_record(at);
        if !self.bounds.revocations || !state.serves(at) || unclaimed || owner == NOBODY {
            return None;
        }
        let fence = self.next_fence(state, at)?;
        if owner < state.crew {
            state.client_mut(owner).revoked_on = state.node(at).id;
        }
        let is_closed = !(state.has_own_record(at) && state.node(at).gate.was_open());
        let node = state.node_mut(at);
        node.lock = Lock::FREE;
        if self.rules.force_leaves_fence && is_closed {
            node.gate.known = fence;
        }
        self.log(state, at);
        Some(())
    }

    /// What a claim of a new incarnation does to the counter: it is read, recorded and seeded with the time.
    pub(super) fn seed(&self, state: &mut State, name: u8, was: &Record) {
        if self.bounds.grants == 0 {
            return;
        }
        let of_nodes = state.nodes.iter().map(|node| node.counter);
        let of_clients = state
            .clients
            .iter()
            .map(|client| client.fence.max(client.write.fence));
        let given = of_nodes.chain(of_clients).fold(state.top_fence, u8::max);
        // A deposed master goes on counting, and the time has passed that too: a counter is slower.
        let time = given + (self.bounds.grants - state.grants);
        let never_open = was.of != NO_ID && !was.was_open();
        let node = state.node_mut(name);
        let found = if self.rules.counter_before_seed {
            node.counter
        } else {
            time
        };
        node.counter = time;
        (node.gate.fence_at, node.gate.known) = match never_open && self.rules.carry_counter {
            true => (was.fence_at, was.known),
            false => (found, 0),
        };
    }
}
