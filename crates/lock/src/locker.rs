//! The locker: what a program asks for.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use leasehold_config::LockOptions;

use crate::backend::Backend;
use crate::error::Error;
use crate::grants::Grants;
use crate::holder::Holder;
use crate::lease::Lease;
use crate::leases::Leases;
use crate::lifecycle::acquire::{self, Limit};
use crate::lifecycle::core::Core;
use crate::lifecycle::target::Target;
use crate::options::AcquireOptions;
use crate::protocol::keys::Keys;
use crate::request::{Acquire, named};
use crate::resource::Resource;
use crate::slots::Slots;
use crate::ticket::Ticket;
use crate::token::Token;
use crate::unavailable::{Cause, Unavailable};

mod start;

/// Hands out leases. Cheap to clone; all clones share one connection and one set of tasks.
///
/// The tasks run in the tokio runtime that the locker was connected in. Once that has ended, each
/// call returns [`Error::RuntimeEnded`]; in a process that was forked afterwards,
/// [`Error::Forked`]. Connect after a fork, and once per runtime: a `static` outlives
/// the runtime of a `#[tokio::test]`.
///
/// ```no_run
/// # async fn example() -> Result<(), leasehold::Error> {
/// use leasehold::Locker;
///
/// let locker = Locker::from_env().await?;
/// let lease = locker.acquire("nightly-report").await?;
/// println!("fence {} for {:?}", lease.fence(), lease.remaining());
/// lease.release().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Locker {
    core: Arc<Core>,
}

impl Locker {
    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// Whether leases exclude other holders: `false` with locking disabled.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        !matches!(&*self.core.backend, Backend::Noop(_))
    }

    /// The options of leases that are acquired without other options.
    #[must_use]
    pub fn options(&self) -> &LockOptions {
        &self.core.options
    }

    pub(crate) fn keys(&self, resource: &Resource) -> Result<Keys, Error> {
        Ok(Keys::new(&self.core.options.key_prefix, resource)?)
    }

    /// Leases a resource, and waits for it up to `LOCK_ACQUIRE_TIMEOUT`, or without limit if that is not set.
    ///
    /// Waiters of one locker are served in the order of their calls. A failover does not end the wait.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), leasehold::Error> {
    /// # use std::time::Duration;
    /// # use leasehold::{Locker, MemoryStore};
    /// # let locker = Locker::in_memory(&MemoryStore::new());
    /// let lease = locker.acquire("report").await?;
    /// println!("fence {}", lease.fence());
    /// lease.release().await?;
    ///
    /// let patient = locker.acquire("report").timeout(Duration::from_secs(60)).await?;
    /// # drop(patient);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], whose source is what prevented the grant at the end; errors that
    /// waiting cannot fix (wrong credentials, missing permissions, an invalid name) are returned at
    /// once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the queue and releases, in the background, what may have been
    /// granted unseen.
    pub fn acquire(&self, resource: impl TryInto<Resource, Error: Into<Error>>) -> Acquire {
        let (core, resource) = (self.core.clone(), named(resource));
        Acquire::new(async move |options: AcquireOptions| {
            let target = Target::new(&core, resource?, &options)?;
            let terms = options.resolve(&core.options)?;
            let held = acquire::acquire(&core, target, terms, Limit::of(terms)).await?;
            Ok(Lease::new(core, held))
        })
    }

    /// Leases a resource if it is free now. The timeout has no effect.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), leasehold::Error> {
    /// # use leasehold::{Error, Locker, MemoryStore};
    /// # let locker = Locker::in_memory(&MemoryStore::new());
    /// let lease = locker.try_acquire("report").await?;
    /// let refused = locker.try_acquire("report").await;
    /// assert!(matches!(refused, Err(Error::Held(_))));
    /// # drop(lease);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Held`] if another client holds it, [`Error::GateClosed`] and
    /// [`Error::NotReplicated`] in strict mode, [`Error::Unavailable`] and [`Error::Ambiguous`] if
    /// Redis could not be asked.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future releases, in the background, what may have been granted unseen.
    pub fn try_acquire(&self, resource: impl TryInto<Resource, Error: Into<Error>>) -> Acquire {
        let (core, resource) = (self.core.clone(), named(resource));
        Acquire::new(async move |options: AcquireOptions| {
            let target = Target::new(&core, resource?, &options)?;
            let terms = options.resolve(&core.options)?;
            let held = acquire::try_acquire(&core, target, terms).await?;
            Ok(Lease::new(core, held))
        })
    }

    /// As [`Locker::acquire`] and then [`Acquire::with_lock`]: leases a resource, runs `body` under
    /// the lease, and releases it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), leasehold::Error> {
    /// # use leasehold::{Locker, MemoryStore};
    /// # let locker = Locker::in_memory(&MemoryStore::new());
    /// let rows = locker.with_lock("import", async |lease| {
    ///     println!("writing with fence {}", lease.fence());
    ///     42
    /// }).await?;
    /// assert_eq!(rows, 42);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Locker::acquire`], and [`Error::Lost`] if the lease was lost before `body` ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `body` and releases the lease in the background.
    pub async fn with_lock<T>(
        &self,
        resource: impl TryInto<Resource, Error: Into<Error>>,
        body: impl AsyncFnOnce(&Lease) -> T,
    ) -> Result<T, Error> {
        self.acquire(resource).with_lock(body).await
    }

    /// A resource that `limit` holders at a time may lease; 1 to 1,000.
    ///
    /// # Errors
    ///
    /// [`Error::Resource`] for a bad name, [`Error::SlotLimit`] for a limit out of bounds.
    pub fn slots(
        &self,
        resource: impl TryInto<Resource, Error: Into<Error>>,
        limit: usize,
    ) -> Result<Slots, Error> {
        Slots::new(self.core.clone(), named(resource)?, limit)
    }

    /// Leases several resources, all or none, and waits for them like [`Locker::acquire`]. A
    /// resource that is given twice is leased once.
    ///
    /// They are leased in the order of their names, so callers with overlapping sets cannot deadlock. The timeout is for all of them together.
    ///
    /// # Errors
    ///
    /// As [`Locker::acquire`]. What was leased before the error is released.
    ///
    /// # Cancel safety
    ///
    /// As [`Locker::acquire`], for each of them.
    pub fn acquire_all(
        &self,
        resources: impl IntoIterator<Item = impl TryInto<Resource, Error: Into<Error>>>,
    ) -> Acquire<Leases> {
        let core = self.core.clone();
        let resources: Result<BTreeSet<Resource>, Error> =
            resources.into_iter().map(named).collect();
        Acquire::new(async move |options: AcquireOptions| {
            let targets = resources?
                .into_iter()
                .map(|resource| Target::new(&core, resource, &options));
            let targets: Vec<Target> = targets.collect::<Result<_, _>>()?;
            let terms = options.resolve(&core.options)?;
            let limit = Limit::of(terms);
            let mut leases = Vec::with_capacity(targets.len());
            for target in targets {
                let held = acquire::acquire(&core, target, terms, limit).await?;
                leases.push(Lease::new(core.clone(), held));
            }
            let leases = Leases::new(leases);
            leases.check()?;
            Ok(leases)
        })
    }

    /// Takes over a lease from another process: atomically, with a new token and a greater fence.
    /// The former holder learns at its next renewal that it lost the lease.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the lease expired, was released, or was taken over by another client before;
    /// [`Error::Ttl`] if it is longer than `LOCK_MAX_TTL`; otherwise as [`Locker::try_acquire`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future releases, in the background, what may have been taken over unseen.
    pub fn adopt(&self, ticket: &Ticket) -> Acquire {
        let (core, ticket) = (self.core.clone(), ticket.clone());
        Acquire::new(async move |options: AcquireOptions| {
            ticket.check()?;
            let options = AcquireOptions::new()
                .ttl(ticket.ttl())
                .overridden_by(&options);
            let resource = Resource::new(&ticket.resource)?;
            let terms = options.resolve(&core.options)?;
            let (slot, target) = match ticket.slot {
                None => (0, Target::new(&core, resource, &options)?),
                Some((slot, limit)) => {
                    let limit = limit.max(slot.saturating_add(1));
                    let slots = Slots::new(core.clone(), resource, limit)?;
                    (slot, slots.target(&options))
                }
            };
            let from = Token::from_stored(&ticket.token);
            let held = acquire::adopt(&core, target, terms, slot, &from).await?;
            Ok(Lease::new(core, held))
        })
    }

    /// Whether new leases are granted at present, or why not: after a failover strict mode may pause them.
    ///
    /// It sends nothing, and returns what this process knows of the present master's gate.
    ///
    /// ```no_run
    /// # async fn f() -> Result<(), leasehold::Error> {
    /// use leasehold::{Grants, Locker};
    ///
    /// let locker = Locker::from_env().await?;
    /// if let Grants::Closed { remaining, reason, .. } = locker.grants() {
    ///     println!("no new leases for {remaining:?}: {reason}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn grants(&self) -> Grants {
        self.core.backend.gate_state().into()
    }

    /// Why this locker still waits for a resource: the error of its last attempt, such as
    /// [`Error::GateClosed`] after a failover. `None` if it does not wait, or has only begun.
    ///
    /// It sends nothing. A wait that timed out has the reason in [`Error::TimedOut`].
    ///
    /// # Errors
    ///
    /// [`Error::Resource`] for an invalid name.
    pub fn obstacle(
        &self,
        resource: impl TryInto<Resource, Error: Into<Error>>,
    ) -> Result<Option<Error>, Error> {
        let keys = self.keys(&named(resource)?)?;
        Ok(self.core.waiting.obstacle(&keys.wait_key))
    }

    /// Reads who holds a resource, and changes nothing. `None` if it is free.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if Redis could not be asked.
    pub async fn inspect(
        &self,
        resource: impl TryInto<Resource, Error: Into<Error>>,
    ) -> Result<Option<Holder>, Error> {
        let keys = self.keys(&named(resource)?)?;
        self.core.stop.check_tasks()?;
        let holdings = self.core.backend.inspect(&keys).await;
        let holdings = holdings.map_err(|failure| Error::Unavailable(failure.unavailable))?;
        Ok(holdings.into_iter().next().flatten().map(Holder::from))
    }

    /// Refuses new leases, ends those that are held ([`LostReason::Closed`]) and waits for at most
    /// `limit` until all are released.
    ///
    /// Dropping the last clone and the last lease releases everything too, without waiting.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if something is left to the background, or to its TTL.
    ///
    /// [`LostReason::Closed`]: crate::LostReason::Closed
    pub async fn close(self, limit: Duration) -> Result<(), Error> {
        match tokio::time::timeout(limit, self.core.close()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(Unavailable::new(Cause::Timeout { after: limit }).into()),
        }
    }
}

impl fmt::Debug for Locker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locker")
            .field("is_enabled", &self.is_enabled())
            .finish_non_exhaustive()
    }
}
