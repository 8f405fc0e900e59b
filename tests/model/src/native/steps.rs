//! The commands of clients, and what befalls the data set.

use super::state::{CLIENTS, Client, Data, LOCKS, Lock, NOBODY, PAST, Phase, State};
use super::{FENCES_PER_TICK, Native, Proof};
use crate::report::Tale;

/// One step of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A tick passes.
    Tick,
    /// The replica, or the disk, has what the master has.
    Copy,
    /// The copy takes over: a failover, or a restart that finds it on disk.
    Failover,
    /// Somebody runs FLUSHALL.
    Flush,
    /// The master restarts with an empty memory.
    RestartEmpty,
    /// The client makes a link, which seeds the counter.
    Connect {
        /// Who.
        client: u8,
    },
    /// The client sends its pipeline. The deadline counts from here.
    Send {
        /// Who.
        client: u8,
        /// For which lock.
        lock: u8,
    },
    /// `SET lock token NX PX ttl` runs.
    Set {
        /// Whose.
        client: u8,
    },
    /// `INCR counter` runs.
    Incr {
        /// Whose.
        client: u8,
    },
    /// `GET lock` runs.
    Get {
        /// Whose.
        client: u8,
    },
    /// `MULTI`, all commands, `EXEC` run at once.
    Transaction {
        /// Whose.
        client: u8,
    },
    /// The script runs for a request that is asked again.
    Script {
        /// Whose.
        client: u8,
    },
    /// The connection breaks; what was sent may still run, but nobody reads the replies.
    LoseReply {
        /// Whose.
        client: u8,
    },
    /// The `SET` of a pipeline that nobody waits for any more runs.
    LateSet {
        /// Whose.
        client: u8,
    },
    /// The holder releases: compare and delete.
    Release {
        /// Who.
        client: u8,
    },
    /// The client lets go of its token, whatever it was doing.
    GiveUp {
        /// Who.
        client: u8,
    },
    /// Somebody deletes the lock by force.
    ForceDelete {
        /// Which.
        lock: u8,
    },
}

impl Native {
    /// The state after `step`, or nothing if the step cannot be taken or changes nothing.
    #[must_use]
    pub fn apply(&self, before: &State, step: Step) -> Option<State> {
        let mut after = *before;
        let state = &mut after;
        match step {
            Step::Tick => self.tick(state)?,
            Step::Copy => state.copy = state.data,
            Step::Failover => self.failover(state)?,
            Step::Flush => self.empty(state)?,
            Step::RestartEmpty => {
                self.empty(state)?;
                end_links(state);
            }
            Step::Connect { client } => self.connect(state, client)?,
            Step::Send { client, lock } => self.send(state, client, lock)?,
            Step::Set { client } => self.set(state, client)?,
            Step::Incr { client } => self.incr(state, client)?,
            Step::Get { client } => self.get(state, client)?,
            Step::Transaction { client } => self.transaction(state, client)?,
            Step::Script { client } => self.script(state, client)?,
            Step::LoseReply { client } => self.lose_reply(state, client)?,
            Step::LateSet { client } => self.late_set(state, client)?,
            Step::Release { client } => release(state, client)?,
            Step::GiveUp { client } => give_up(state, client),
            Step::ForceDelete { lock } => self.force_delete(state, lock)?,
        }
        self.forget_what_no_step_reads(state);
        (after != *before).then_some(after)
    }

    /// Where the counter is never lost, it decides nothing when a link was made.
    fn forget_what_no_step_reads(&self, state: &mut State) {
        if self.keeps_data() {
            for client in &mut state.clients {
                client.seed = client.seed.min(1);
            }
        }
        if state.losses == self.losses {
            state.copy = Data::EMPTY;
        }
    }

    fn tick(&self, state: &mut State) -> Option<()> {
        state.time = (state.time < self.ticks).then_some(state.time + 1)?;
        for lock in state.data.locks.iter_mut().chain(&mut state.copy.locks) {
            lock.left = lock.left.saturating_sub(1);
            if lock.left == 0 {
                *lock = Lock::FREE;
            }
        }
        for name in 0..CLIENTS as u8 {
            let client = &mut state.clients[usize::from(name)];
            if client.phase == Phase::Idle {
                continue;
            }
            client.left = client.left.saturating_sub(1);
            if client.left == 0 {
                give_up(state, name);
            }
        }
        Some(())
    }

    fn connect(&self, state: &mut State, name: u8) -> Option<()> {
        if state.clients[usize::from(name)].seed > 0 {
            return None;
        }
        self.seed(state)?;
        state.clients[usize::from(name)].seed = state.data.counter.max(1);
        Some(())
    }

    /// `counter = max(counter, server time)`. Grants are rarer than the clock's fences: where the counter was lost, time
    /// has passed every fence that was given before somebody seeds it again.
    fn seed(&self, state: &mut State) -> Option<()> {
        let clock = if self.clock_passes_fences {
            state.clock()
        } else {
            state.time * FENCES_PER_TICK
        };
        if state.data.counter < state.peak && clock < state.peak {
            return None;
        }
        if self.seed_links && !self.keeps_data() {
            state.data.counter = state.data.counter.max(state.clock());
        }
        Some(())
    }

    fn send(&self, state: &mut State, name: u8, lock: u8) -> Option<()> {
        let client = &mut state.clients[usize::from(name)];
        let again =
            client.phase == Phase::Again && client.lock == lock && !self.ask_again_by_script;
        if client.seed == 0 || !(again || client.phase == Phase::Idle) {
            return None;
        }
        client.phase = Phase::Sent;
        client.left = self.lease;
        client.lock = lock;
        Some(())
    }

    fn set(&self, state: &mut State, name: u8) -> Option<()> {
        let phase = state.clients[usize::from(name)].phase;
        if phase != Phase::Sent || self.proof == Proof::Transaction {
            return None;
        }
        self.set_key(state, name)?;
        state.clients[usize::from(name)].phase = Phase::Set;
        Some(())
    }

    /// `SET NX`: sets a free lock; the client's own token there is as good. Another's is the end of the fast way.
    fn set_key(&self, state: &mut State, name: u8) -> Option<()> {
        let client = &mut state.clients[usize::from(name)];
        let lock = &mut state.data.locks[usize::from(client.lock)];
        if lock.owner == NOBODY {
            (lock.owner, lock.left) = (name, self.lease);
            client.floor = state.top_fence;
        }
        (lock.owner == name).then_some(())
    }

    fn incr(&self, state: &mut State, name: u8) -> Option<()> {
        let phase = state.clients[usize::from(name)].phase;
        let ready = match self.proof {
            Proof::Get | Proof::Nothing => phase == Phase::Set,
            Proof::GetBefore => phase == Phase::Seen,
            Proof::Transaction => false,
        };
        if !ready {
            return None;
        }
        self.raise(state, name)?;
        match self.proof {
            Proof::Get => state.clients[usize::from(name)].phase = Phase::Raised,
            _ => self.count(state, name),
        }
        Some(())
    }

    fn raise(&self, state: &mut State, name: u8) -> Option<()> {
        state.raises = (state.raises < self.raises).then_some(state.raises + 1)?;
        state.data.counter += 1;
        state.peak = state.peak.max(state.data.counter);
        state.clients[usize::from(name)].fence = state.data.counter;
        Some(())
    }

    fn get(&self, state: &mut State, name: u8) -> Option<()> {
        let client = state.clients[usize::from(name)];
        let is_ours = state.data.locks[usize::from(client.lock)].owner == name;
        match (self.proof, client.phase) {
            (Proof::Get, Phase::Raised) if is_ours => self.count(state, name),
            (Proof::GetBefore, Phase::Set) if is_ours => {
                state.clients[usize::from(name)].phase = Phase::Seen;
            }
            (Proof::Get, Phase::Raised) | (Proof::GetBefore, Phase::Set) => give_up(state, name),
            _ => return None,
        }
        Some(())
    }

    fn transaction(&self, state: &mut State, name: u8) -> Option<()> {
        let phase = state.clients[usize::from(name)].phase;
        if self.proof != Proof::Transaction || phase != Phase::Sent {
            return None;
        }
        self.set_key(state, name)?;
        self.raise(state, name)?;
        self.count(state, name);
        Some(())
    }

    /// The reply is read: the grant counts, unless the counter was lost since the link was made.
    fn count(&self, state: &mut State, name: u8) {
        let client = &mut state.clients[usize::from(name)];
        if self.check_seed && client.fence < client.seed {
            client.phase = Phase::Again;
            return;
        }
        client.phase = Phase::Holding;
        state.fence_went_back |= client.fence <= client.floor;
        state.top_fence = state.top_fence.max(client.fence);
    }

    /// The script seeds where the counter was lost, sets and raises, all at once.
    fn script(&self, state: &mut State, name: u8) -> Option<()> {
        let client = state.clients[usize::from(name)];
        if client.phase != Phase::Again || client.seed == 0 {
            return None;
        }
        if state.data.counter < client.seed {
            self.seed(state)?;
        }
        state.clients[usize::from(name)].left = self.lease;
        self.set_key(state, name)?;
        state.data.locks[usize::from(client.lock)].left = self.lease;
        self.raise(state, name)?;
        self.count(state, name);
        Some(())
    }

    /// The link ends with the connection.
    fn lose_reply(&self, state: &mut State, name: u8) -> Option<()> {
        let client = &mut state.clients[usize::from(name)];
        let in_flight = matches!(
            client.phase,
            Phase::Sent | Phase::Set | Phase::Seen | Phase::Raised
        );
        if !in_flight || state.lost_replies >= self.lost_replies {
            return None;
        }
        state.lost_replies += 1;
        client.late_set |= client.phase == Phase::Sent;
        (client.phase, client.seed, client.fence) = (Phase::Again, 0, 0);
        Some(())
    }

    fn late_set(&self, state: &mut State, name: u8) -> Option<()> {
        let client = &mut state.clients[usize::from(name)];
        if !client.late_set {
            return None;
        }
        client.late_set = false;
        self.set_key(state, name)
    }

    /// Nobody reads what the old master still answers, and its links are gone.
    fn failover(&self, state: &mut State) -> Option<()> {
        state.losses = (state.losses < self.losses).then_some(state.losses + 1)?;
        state.data = state.copy;
        state.behind = self.skew;
        end_links(state);
        Some(())
    }

    fn empty(&self, state: &mut State) -> Option<()> {
        state.flushes = (state.flushes < self.flushes).then_some(state.flushes + 1)?;
        state.data = Data::EMPTY;
        break_missing(state);
        Some(())
    }

    fn force_delete(&self, state: &mut State, lock: u8) -> Option<()> {
        let key = &mut state.data.locks[usize::from(lock)];
        if *key == Lock::FREE || state.forced >= self.forced {
            return None;
        }
        *key = Lock::FREE;
        state.forced += 1;
        break_missing(state);
        Some(())
    }
}

/// Every link ends; what was in flight on one is not heard of again and does not run any more.
fn end_links(state: &mut State) {
    for name in 0..CLIENTS as u8 {
        let client = &mut state.clients[usize::from(name)];
        (client.seed, client.late_set) = (0, false);
        if client.phase != Phase::Idle && client.phase != Phase::Holding {
            client.phase = Phase::Again;
            client.fence = 0;
        }
    }
    break_missing(state);
}

/// A holder whose key is gone has been robbed, and is not counted.
fn break_missing(state: &mut State) {
    for (name, client) in (0..).zip(&mut state.clients) {
        let holds = client.phase == Phase::Holding;
        client.broken |= holds && state.data.locks[usize::from(client.lock)].owner != name;
    }
}

fn release(state: &mut State, name: u8) -> Option<()> {
    let client = state.clients[usize::from(name)];
    if client.phase != Phase::Holding {
        return None;
    }
    let lock = &mut state.data.locks[usize::from(client.lock)];
    if lock.owner == name {
        *lock = Lock::FREE;
    }
    give_up(state, name);
    Some(())
}

/// The token is given up; where a key still holds it, only its time removes it.
fn give_up(state: &mut State, name: u8) {
    let client = &mut state.clients[usize::from(name)];
    *client = Client {
        seed: client.seed,
        ..Client::IDLE
    };
    for lock in 0..LOCKS {
        for data in [&mut state.data, &mut state.copy] {
            if data.locks[lock].owner == name {
                data.locks[lock].owner = PAST;
            }
        }
    }
}

impl Tale for Native {
    fn tell(&self, before: &State, step: Step, after: &State) -> String {
        let name = |client: u8| ['A', 'B'][usize::from(client)];
        let of = |client: u8| &after.clients[usize::from(client)];
        let line = match step {
            Step::Tick => format!("a tick passes; the clock gives fence {}", after.clock()),
            Step::Copy => "the replica, or the disk, has what the master has".to_owned(),
            Step::Failover => format!(
                "the copy takes over, its counter is {}; every link ends",
                after.data.counter
            ),
            Step::Flush => "somebody flushes the data set".to_owned(),
            Step::RestartEmpty => "the master restarts with an empty memory".to_owned(),
            Step::Connect { client } => format!(
                "client {} makes a link; the counter is {}",
                name(client),
                after.data.counter
            ),
            Step::Send { client, lock } => {
                format!("client {} sends its pipeline for lock {lock}", name(client))
            }
            Step::Set { client } => {
                format!("SET: the lock has the token of client {}", name(client))
            }
            Step::Incr { client } => {
                format!(
                    "INCR: client {} is given fence {}",
                    name(client),
                    after.data.counter
                )
            }
            Step::Get { client } => {
                format!("GET: client {} reads who holds the lock", name(client))
            }
            Step::Transaction { client } | Step::Script { client } => format!(
                "client {} sets the lock and is given fence {} in one step",
                name(client),
                of(client).fence
            ),
            Step::LoseReply { client } => {
                format!("the connection of client {} breaks", name(client))
            }
            Step::LateSet { client } => {
                format!(
                    "a SET of client {} runs that was given up for lost",
                    name(client)
                )
            }
            Step::Release { client } => format!("client {} releases", name(client)),
            Step::GiveUp { client } => format!("client {} lets go", name(client)),
            Step::ForceDelete { lock } => format!("somebody deletes lock {lock} by force"),
        };
        line + &counted(before, after)
    }
}

/// Who holds since this step, and what it broke.
fn counted(before: &State, after: &State) -> String {
    let mut said = String::new();
    for (name, client) in ['A', 'B'].iter().zip(0..CLIENTS) {
        let (was, is) = (&before.clients[client], &after.clients[client]);
        if was.phase != Phase::Holding && is.phase == Phase::Holding {
            said += &format!(
                "; client {name} holds lock {} with fence {}",
                is.lock, is.fence
            );
        }
    }
    if (0..LOCKS as u8).any(|lock| after.holders(lock) > 1) {
        said += " -- TWO HOLDERS";
    }
    if after.fence_went_back && !before.fence_went_back {
        said += " -- ITS FENCE IS NOT GREATER than one that was granted before";
    }
    said
}
