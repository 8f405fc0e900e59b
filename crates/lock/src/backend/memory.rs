//! Locks in this process, with the full semantics, for tests without Redis.

#[cfg(test)]
pub(crate) mod network;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::backend::ops::{
    AdoptOutcome, DataSet, GrantOutcome, Holding, Refusal, ReleaseOutcome, RenewOutcome, Request,
};
use crate::clock::{Clock, Moment};
use crate::fence::Fence;
use crate::protocol::keys::Keys;
use crate::sync::{Mutex, MutexGuard};
use crate::token::{self, Token};
use crate::transport::server_errors::Failure;
use crate::unavailable::{Cause, Unavailable};

/// What in-memory lockers share, as processes share a Redis; and the faults to inject into it.
///
/// Time is the tokio runtime's, so a test with paused time can let leases expire at once.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), leasehold::Error> {
/// use leasehold::{Locker, MemoryStore};
///
/// let store = MemoryStore::new();
/// let (ours, theirs) = (Locker::in_memory(&store), Locker::in_memory(&store));
/// let lease = ours.acquire("report").await?;
/// assert!(theirs.try_acquire("report").await.is_err());
///
/// store.delete("report");
/// lease.lost().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct MemoryStore {
    shared: Arc<SharedMemory>,
}

#[derive(Debug)]
struct SharedMemory {
    clock: Clock,
    state: Mutex<MemoryState>,
}

#[derive(Debug, Default)]
struct MemoryState {
    locks: HashMap<Arc<str>, Lock>,
    last_fence: i64,
    is_down: bool,
}

#[derive(Debug)]
struct Lock {
    token: Token,
    since: Moment,
    ttl: Duration,
}

impl MemoryStore {
    /// An empty store.
    ///
    /// Call it within a tokio runtime whose time it is to follow.
    #[must_use]
    pub fn new() -> Self {
        let shared = SharedMemory {
            clock: Clock::runtime(),
            state: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Deletes a lock behind its holder's back, as `DEL` does.
    pub fn delete(&self, resource: &str) {
        self.shared.state.lock().locks.remove(resource);
    }

    /// Gives a lock to another client for `ttl`, as a foreign client's `SET` does.
    pub fn steal(&self, resource: &str, by: &str, ttl: Duration) {
        let stolen = Lock {
            token: Token::from_stored(&format!("{by}/{:032x}", 0)),
            since: self.shared.clock.now(),
            ttl,
        };
        self.shared
            .state
            .lock()
            .locks
            .insert(resource.into(), stolen);
    }

    /// Makes every operation fail as if Redis were gone, or work again.
    pub fn set_down(&self, is_down: bool) {
        self.shared.state.lock().is_down = is_down;
    }

    pub(crate) fn clock(&self) -> Clock {
        self.shared.clock
    }

    /// How many locks are held.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        let clock = self.clock();
        let state = self.shared.state.lock();
        let locks = state.locks.values();
        locks
            .filter(|lock| !clock.remaining(lock.since, lock.ttl).is_zero())
            .count()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

/// The backend over a [`MemoryStore`].
#[derive(Debug)]
pub(crate) struct Memory {
    store: MemoryStore,
    #[cfg(test)]
    network: Option<Arc<network::Network>>,
}

impl Memory {
    pub(crate) fn new(store: MemoryStore) -> Self {
        Self {
            store,
            #[cfg(test)]
            network: None,
        }
    }

    #[cfg(test)]
    pub(crate) fn behind(store: MemoryStore, network: Arc<network::Network>) -> Self {
        Self {
            network: Some(network),
            ..Self::new(store)
        }
    }

    /// Carries out what is asked: at once, unless a test puts a network between.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        request: &Request,
        carry_out: impl FnOnce(&Self, &Request) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        #[cfg(test)]
        if let Some(network) = &self.network {
            let (beyond, request) = (Self::new(self.store.clone()), request.clone());
            return network.carry(move || carry_out(&beyond, &request)).await;
        }
        carry_out(self, request)
    }

    pub(crate) fn grant(&self, request: &Request) -> Result<GrantOutcome, Failure> {
        let clock = self.store.clock();
        let mut state = self.usable()?;
        let mut soonest: Option<(Duration, String)> = None;
        let mut vacant = None;
        for (slot, key) in request.keys.locks.iter().enumerate() {
            match live(&mut state, clock, key) {
                Some(lock) if lock.token != request.token => {
                    let remaining = clock.remaining(lock.since, lock.ttl);
                    if soonest.as_ref().is_none_or(|(least, _)| remaining < *least) {
                        soonest = Some((remaining, lock.token.owner()));
                    }
                }
                Some(_) => vacant = Some(slot),
                None => vacant = vacant.or(Some(slot)),
            }
        }
        let Some(slot) = vacant else {
            let (remaining, owner) = soonest.unzip();
            return Ok(GrantOutcome::Refused(Refusal::Held {
                owner,
                remaining,
                before: None,
            }));
        };
        state.last_fence += 1;
        let fence = Fence::try_from(state.last_fence).unwrap_or(Fence::MAX);
        let lock = Lock {
            token: request.token.clone(),
            since: clock.now(),
            ttl: request.ttl,
        };
        state.locks.insert(request.keys.locks[slot].clone(), lock);
        Ok(GrantOutcome::Granted {
            fence,
            slot,
            data_set: DataSet::local(),
        })
    }

    pub(crate) fn renew(&self, request: &Request) -> Result<RenewOutcome, Failure> {
        let clock = self.store.clock();
        let mut state = self.usable()?;
        let held = request
            .locks()
            .first()
            .and_then(|key| live(&mut state, clock, key));
        let Some(lock) = held else {
            return Ok(RenewOutcome::Missing {
                data_set: DataSet::local(),
            });
        };
        if lock.token != request.token {
            return Ok(RenewOutcome::Stolen {
                by: lock.token.owner(),
            });
        }
        if clock.remaining(lock.since, lock.ttl) < request.ttl {
            lock.since = clock.now();
            lock.ttl = request.ttl;
        }
        Ok(RenewOutcome::Renewed {
            is_gate_closed: false,
            data_set: DataSet::local(),
            reasserted: false,
        })
    }

    pub(crate) fn adopt(&self, request: &Request, from: &Token) -> Result<AdoptOutcome, Failure> {
        let clock = self.store.clock();
        let mut state = self.usable()?;
        let held = request
            .locks()
            .first()
            .and_then(|key| live(&mut state, clock, key));
        let Some(lock) = held else {
            return Ok(AdoptOutcome::Missing);
        };
        if lock.token != *from && lock.token != request.token {
            return Ok(AdoptOutcome::Stolen {
                by: lock.token.owner(),
            });
        }
        *lock = Lock {
            token: request.token.clone(),
            since: clock.now(),
            ttl: request.ttl,
        };
        state.last_fence += 1;
        let fence = Fence::try_from(state.last_fence).unwrap_or(Fence::MAX);
        Ok(AdoptOutcome::Adopted {
            fence,
            data_set: DataSet::local(),
        })
    }

    pub(crate) fn release(&self, request: &Request) -> Result<ReleaseOutcome, Failure> {
        let clock = self.store.clock();
        let mut state = self.usable()?;
        let mut other = None;
        for key in request.locks() {
            match live(&mut state, clock, key) {
                Some(lock) if lock.token == request.token => {
                    state.locks.remove(key);
                    return Ok(ReleaseOutcome::Released);
                }
                Some(lock) => other = Some(lock.token.owner()),
                None => {}
            }
        }
        Ok(other.map_or_else(ReleaseOutcome::missing, |by| ReleaseOutcome::Stolen { by }))
    }

    pub(crate) fn inspect(&self, keys: &Keys) -> Result<Vec<Option<Holding>>, Failure> {
        let clock = self.store.clock();
        let mut state = self.usable()?;
        let holding = |lock: &mut Lock| Holding {
            owner: Some(lock.token.owner()),
            remaining: Some(clock.remaining(lock.since, lock.ttl)),
            held_for: None,
            waiters: None,
            id: Some(token::id_of(lock.token.reveal())),
        };
        let locks = keys.locks.iter();
        Ok(locks
            .map(|key| live(&mut state, clock, key).map(holding))
            .collect())
    }

    fn usable(&self) -> Result<MutexGuard<'_, MemoryState>, Failure> {
        let state = self.store.shared.state.lock();
        if state.is_down {
            return Err(Failure::not_applied(Unavailable::new(Cause::Refused)));
        }
        Ok(state)
    }
}

/// The lock under `key`, unless it expired.
fn live<'a>(state: &'a mut MemoryState, clock: Clock, key: &str) -> Option<&'a mut Lock> {
    let lock = state.locks.get(key)?;
    if clock.remaining(lock.since, lock.ttl).is_zero() {
        state.locks.remove(key);
        return None;
    }
    state.locks.get_mut(key)
}
