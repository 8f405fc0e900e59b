//! At most N holders at a time.

use std::sync::Arc;

use crate::error::Error;
use crate::holder::Holder;
use crate::lease::Lease;
use crate::lifecycle::acquire::{self, Limit};
use crate::lifecycle::core::Core;
use crate::lifecycle::target::Target;
use crate::options::AcquireOptions;
use crate::protocol::keys::Keys;
use crate::request::Acquire;
use crate::resource::Resource;

/// A resource with several slots. Each slot is a separate lease: renewed, fenced, and lost or
/// released by itself. Get it from [`Locker::slots`](crate::Locker::slots).
///
/// The slots are the keys `name:0` to `name:N-1`, the layout of Atlan's `max_locks`, so both kinds
/// of workers share one limit. The number of slots is the caller's and may
/// differ from call to call: with fewer, the slots above the limit are no longer granted, and their
/// holders keep them until they release them.
#[derive(Clone)]
pub struct Slots {
    core: Arc<Core>,
    target: Target,
}

impl Slots {
    /// More slots than this are an error.
    pub const MOST: usize = 1_000;

    pub(crate) fn new(core: Arc<Core>, resource: Resource, limit: usize) -> Result<Self, Error> {
        if !(1..=Self::MOST).contains(&limit) {
            return Err(Error::SlotLimit { asked: limit });
        }
        let keys = Arc::new(Keys::slots(&core.options.key_prefix, &resource, limit));
        Ok(Self {
            core,
            target: Target {
                resource,
                keys,
                owner: None,
            },
        })
    }

    pub(crate) fn target(&self, options: &AcquireOptions) -> Target {
        Target {
            owner: options.owner.clone(),
            ..self.target.clone()
        }
    }

    /// How many holders there may be.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.target.keys.locks.len()
    }

    /// Leases any free slot, and waits for one like [`Locker::acquire`](crate::Locker::acquire).
    ///
    /// # Errors
    ///
    /// As [`Locker::acquire`](crate::Locker::acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`Locker::acquire`](crate::Locker::acquire).
    pub fn acquire(&self) -> Acquire {
        let slots = self.clone();
        Acquire::new(async move |options: AcquireOptions| {
            let terms = options.resolve(&slots.core.options)?;
            let target = slots.target(&options);
            let held = acquire::acquire(&slots.core, target, terms, Limit::of(terms)).await?;
            Ok(Lease::new(slots.core, held))
        })
    }

    /// Leases a slot if one is free now. The timeout has no effect.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), leasehold::Error> {
    /// # use leasehold::{Error, Locker, MemoryStore};
    /// # let locker = Locker::in_memory(&MemoryStore::new());
    /// let gpu = locker.slots("gpu", 1)?;
    /// let lease = gpu.try_acquire().await?;
    /// assert!(matches!(gpu.try_acquire().await, Err(Error::Held(_))));
    /// # drop(lease);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Locker::try_acquire`](crate::Locker::try_acquire); [`Error::Held`] describes the slot
    /// that expires first.
    pub fn try_acquire(&self) -> Acquire {
        let slots = self.clone();
        Acquire::new(async move |options: AcquireOptions| {
            let terms = options.resolve(&slots.core.options)?;
            let target = slots.target(&options);
            let held = acquire::try_acquire(&slots.core, target, terms).await?;
            Ok(Lease::new(slots.core, held))
        })
    }

    /// As [`Locker::obstacle`](crate::Locker::obstacle), for a wait for a slot.
    #[must_use]
    pub fn obstacle(&self) -> Option<Error> {
        self.core.waiting.obstacle(&self.target.keys.wait_key)
    }

    /// Reads who holds each slot, and changes nothing. The first is slot 0.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if Redis could not be asked.
    pub async fn inspect(&self) -> Result<Vec<Option<Holder>>, Error> {
        self.core.stop.check_tasks()?;
        let holdings = self.core.backend.inspect(&self.target.keys).await;
        let holdings = holdings.map_err(|failure| Error::Unavailable(failure.unavailable))?;
        let holders = holdings
            .into_iter()
            .map(|holding| holding.map(Holder::from));
        Ok(holders.collect())
    }
}

impl std::fmt::Debug for Slots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slots")
            .field("resource", &self.target.resource)
            .field("limit", &self.limit())
            .finish_non_exhaustive()
    }
}
