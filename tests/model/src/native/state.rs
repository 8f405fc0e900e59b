//! One instant of the native model. Time is absolute and bounded, so fences are plain numbers.

use std::hash::{Hash, Hasher};

use super::FENCES_PER_TICK;

/// Clients.
pub(super) const CLIENTS: usize = 2;
/// Locks of the data set.
pub(super) const LOCKS: usize = 2;
/// In a lock: nobody.
pub(super) const NOBODY: u8 = 7;
/// In a lock: a token that its client has given up.
pub(super) const PAST: u8 = 6;

/// A lock key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lock {
    /// The client whose present token the key holds, or nobody.
    pub owner: u8,
    /// Ticks until the key expires.
    pub left: u8,
}

impl Lock {
    pub(super) const FREE: Self = Self {
        owner: NOBODY,
        left: 0,
    };
}

/// What Redis stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Data {
    /// The locks.
    pub locks: [Lock; LOCKS],
    /// The fence counter.
    pub counter: u8,
}

impl Data {
    pub(super) const EMPTY: Self = Self {
        locks: [Lock::FREE; LOCKS],
        counter: 0,
    };
}

/// How far a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It asks for nothing.
    Idle,
    /// Its pipeline was sent; no command ran yet.
    Sent,
    /// `SET` ran and answered OK, or found the client's own token.
    Set,
    /// `GET` ran before `INCR` and answered the client's token.
    Seen,
    /// `INCR` ran.
    Raised,
    /// The reply was lost, or the counter was: it asks again.
    Again,
    /// It holds the lease.
    Holding,
}

/// A client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client {
    /// How far it has come.
    pub phase: Phase,
    /// The lock that it wants or holds.
    pub lock: u8,
    /// Ticks until its deadline, counted from sending.
    pub left: u8,
    /// What `INCR` answered; the fence of the lease.
    pub fence: u8,
    /// The greatest fence of all grants that had counted when its key was set.
    pub floor: u8,
    /// The counter when its link was made; nought: it has no link.
    pub seed: u8,
    /// A pipeline of which it will not hear any more has yet to run its `SET`, for this token.
    pub late_set: bool,
    /// Its lease was deleted by force; it does not know yet.
    pub broken: bool,
}

impl Client {
    pub(super) const IDLE: Self = Self {
        phase: Phase::Idle,
        lock: 0,
        left: 0,
        fence: 0,
        floor: 0,
        seed: 0,
        late_set: false,
        broken: false,
    };
}

/// One instant of the modelled system. Clients are interchangeable, and so are locks: states are counted up to renaming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct State {
    /// Ticks since the beginning.
    pub time: u8,
    /// What the master stores.
    pub data: Data,
    /// An earlier instant of it: what a failover, or a restart, would find.
    pub copy: Data,
    /// Ticks by which the present master's clock is behind.
    pub behind: u8,
    /// The clients.
    pub clients: [Client; CLIENTS],
    /// The greatest fence that was ever given, counted or not.
    pub peak: u8,
    /// The greatest fence of all counted grants.
    pub top_fence: u8,
    /// A grant was counted whose fence was not greater than one that had counted when its key was set.
    pub fence_went_back: bool,
    /// How often `INCR` ran.
    pub raises: u8,
    /// Failovers and restarts with older data so far.
    pub losses: u8,
    /// Flushes and empty restarts so far.
    pub flushes: u8,
    /// Deletions by force so far.
    pub forced: u8,
    /// Lost replies so far.
    pub lost_replies: u8,
}

impl State {
    /// A new data set.
    pub(super) const START: Self = Self {
        time: 1,
        data: Data::EMPTY,
        copy: Data::EMPTY,
        behind: 0,
        clients: [Client::IDLE; CLIENTS],
        peak: 0,
        top_fence: 0,
        fence_went_back: false,
        raises: 0,
        losses: 0,
        flushes: 0,
        forced: 0,
        lost_replies: 0,
    };

    /// How many clients hold a lease on the lock that is valid by their own clock and that nobody has deleted.
    #[must_use]
    pub fn holders(&self, lock: u8) -> usize {
        let holds = |client: &&Client| {
            client.phase == Phase::Holding
                && client.lock == lock
                && client.left > 0
                && !client.broken
        };
        self.clients.iter().filter(holds).count()
    }

    /// The fence that the clock of the present master would give.
    pub(super) fn clock(&self) -> u8 {
        self.time.saturating_sub(self.behind) * FENCES_PER_TICK
    }
}

/// What is left of a state for the hash, in one order of clients and locks.
type Words = (Data, Data, [Client; CLIENTS]);

impl State {
    /// The state with the two clients, or the two locks, or both, exchanged.
    fn exchanged(&self, clients: bool, locks: bool) -> Words {
        let data = |data: Data| {
            let mut data = data;
            for lock in &mut data.locks {
                if clients && usize::from(lock.owner) < CLIENTS {
                    lock.owner = 1 - lock.owner;
                }
            }
            if locks {
                data.locks.reverse();
            }
            data
        };
        let mut crew = self.clients;
        for client in &mut crew {
            if locks && client.phase != Phase::Idle {
                client.lock = 1 - client.lock;
            }
        }
        if clients {
            crew.reverse();
        }
        (data(self.data), data(self.copy), crew)
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let orders = [(false, false), (false, true), (true, false), (true, true)];
        let least = orders.map(|(clients, locks)| self.exchanged(clients, locks));
        least.iter().min().hash(hasher);
        hasher.write(&[
            self.time,
            self.behind,
            self.peak,
            self.top_fence,
            u8::from(self.fence_went_back),
            self.raises,
            self.losses,
            self.flushes,
            self.forced,
            self.lost_replies,
        ]);
    }
}
