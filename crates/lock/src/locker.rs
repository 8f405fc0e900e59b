//! The locker: what a program asks for.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use leasehold_config::{Config, LockOptions, Locking};

use crate::backend::Backend;
use crate::backend::connect;
use crate::backend::memory::{Memory, MemoryStore};
use crate::backend::noop::Noop;
use crate::clock::Clock;
use crate::error::Error;
use crate::grants::Grants;
use crate::holder::Holder;
use crate::lease::Lease;
use crate::leases::Leases;
use crate::lifecycle::acquire::{self, Limit};
use crate::lifecycle::core::Core;
use crate::lifecycle::last_release::LastRelease;
use crate::lifecycle::target::Target;
use crate::lifecycle::wait_queue::Waiting;
use crate::options::AcquireOptions;
use crate::protocol::keys::Keys;
use crate::request::{Acquire, named};
use crate::resource::Resource;
use crate::slots::Slots;
use crate::telemetry;
use crate::ticket::Ticket;
use crate::token::Token;
use crate::unavailable::{Cause, Unavailable};

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

const DISABLED: &str = "LOCKING IS DISABLED: every lease is granted at once and excludes nobody; \
                        set IS_LOCKING_DISABLED=false wherever two workers may run";

impl Locker {
    /// Reads the configuration from the environment and `.env`, and connects.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] lists everything that is wrong with the configuration;
    /// [`Error::Unavailable`] names why the master could not be reached.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what was opened.
    pub async fn from_env() -> Result<Self, Error> {
        Self::connect(Config::from_env()?).await
    }

    /// Connects as configured, and returns once the master is found and verified. From then on
    /// the locker reconnects by itself, for as long as it lives.
    ///
    /// With locking disabled it connects nowhere and grants everything, and logs that it does.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] lists values of the configuration that are out of bounds or do not fit together;
    /// [`Error::Unavailable`] names why the master could not be reached.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what was opened.
    pub async fn connect(config: Config) -> Result<Self, Error> {
        config.check()?;
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        let topology = match config.locking {
            Locking::Disabled => return Ok(Self::disabled(config.lock)),
            Locking::Enabled(topology) => topology,
        };
        let waiting = Arc::new(Waiting::default());
        let last_release = LastRelease {
            topology: topology.clone(),
            lock: config.lock.clone(),
            client_name: config.client_name.clone(),
        };
        let (backend, operation_timeout) =
            connect::connect(topology, &config.lock, config.client_name, &waiting).await?;
        Ok(Self {
            core: Core::start(
                backend,
                waiting,
                config.lock,
                Clock::System,
                operation_timeout,
                Some(last_release),
            ),
        })
    }

    /// A locker over `store`, for tests without Redis: waiting, expiry and loss behave as with
    /// Redis, by the tokio runtime's clock.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, as [`tokio::spawn`] does.
    #[must_use]
    pub fn in_memory(store: &MemoryStore) -> Self {
        Self::over_memory(store, LockOptions::default())
    }

    /// As [`Locker::in_memory`], with other options.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] lists the options that are out of bounds or do not fit together.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, as [`tokio::spawn`] does.
    pub fn in_memory_with(store: &MemoryStore, options: LockOptions) -> Result<Self, Error> {
        options.check()?;
        Ok(Self::over_memory(store, options))
    }

    fn over_memory(store: &MemoryStore, options: LockOptions) -> Self {
        Self::over(Memory::new(store.clone()), store.clock(), options)
    }

    pub(crate) fn over(memory: Memory, clock: Clock, options: LockOptions) -> Self {
        let operation_timeout = Duration::from_secs(2);
        Self {
            core: Core::start(
                Backend::Memory(memory),
                Arc::default(),
                options,
                clock,
                operation_timeout,
                None,
            ),
        }
    }

    fn disabled(options: LockOptions) -> Self {
        // A program without a subscriber must not run without locks in silence either.
        if tracing::event_enabled!(tracing::Level::WARN) {
            tracing::warn!("{DISABLED}");
        } else {
            eprintln!("WARNING: {DISABLED}");
        }
        telemetry::locking_disabled();
        let operation_timeout = Duration::from_secs(2);
        Self {
            core: Core::start(
                Backend::Noop(Noop),
                Arc::default(),
                options,
                Clock::runtime(),
                operation_timeout,
                None,
            ),
        }
    }

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
    pub fn acquire<R>(&self, resource: R) -> Acquire
    where
        R: TryInto<Resource, Error: Into<Error>>,
    {
        let (core, resource) = (self.core.clone(), named(resource));
        Acquire::new(async move |options: AcquireOptions| {
            let target = Target::new(&core, resource?, &options)?;
            let terms = options.resolve(&core.options)?;
            let held = acquire::acquire(&core, target, terms).await?;
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
    pub fn try_acquire<R>(&self, resource: R) -> Acquire
    where
        R: TryInto<Resource, Error: Into<Error>>,
    {
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
    pub async fn with_lock<R, T>(
        &self,
        resource: R,
        body: impl AsyncFnOnce(&Lease) -> T,
    ) -> Result<T, Error>
    where
        R: TryInto<Resource, Error: Into<Error>>,
    {
        self.acquire(resource).with_lock(body).await
    }

    /// A resource that `limit` holders at a time may lease; 1 to 1,000.
    ///
    /// # Errors
    ///
    /// [`Error::Resource`] for a bad name, [`Error::SlotLimit`] for a limit out of bounds.
    pub fn slots<R>(&self, resource: R, limit: usize) -> Result<Slots, Error>
    where
        R: TryInto<Resource, Error: Into<Error>>,
    {
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
    pub fn acquire_all<R>(&self, resources: impl IntoIterator<Item = R>) -> Acquire<Leases>
    where
        R: TryInto<Resource, Error: Into<Error>>,
    {
        let core = self.core.clone();
        let resources: Result<BTreeSet<Resource>, Error> =
            resources.into_iter().map(named).collect();
        Acquire::new(async move |options: AcquireOptions| {
            let targets = resources?
                .into_iter()
                .map(|resource| Target::new(&core, resource, &options));
            let targets: Vec<Target> = targets.collect::<Result<_, _>>()?;
            let terms = options.resolve(&core.options)?;
            let limit = terms.timeout.map(Limit::from_now);
            let mut leases = Vec::with_capacity(targets.len());
            for target in targets {
                let held = acquire::acquire_within(&core, target, terms, limit).await?;
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
    pub fn obstacle<R>(&self, resource: R) -> Result<Option<Error>, Error>
    where
        R: TryInto<Resource, Error: Into<Error>>,
    {
        let keys = self.keys(&named(resource)?)?;
        Ok(self.core.waiting.obstacle(&keys.wait_key))
    }

    /// Reads who holds a resource, and changes nothing. `None` if it is free.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if Redis could not be asked.
    pub async fn inspect<R>(&self, resource: R) -> Result<Option<Holder>, Error>
    where
        R: TryInto<Resource, Error: Into<Error>>,
    {
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
