//! The locker: says what is to be done, in order.

mod operator;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use leasehold_config::{Config, LockOptions, Locking};

use crate::acquiring::{self, Limit, Target};
use crate::backend::memory::{Memory, MemoryStore};
use crate::backend::noop::Noop;
use crate::backend::{Backend, Holding};
use crate::clock::Clock;
use crate::connecting;
use crate::core::Core;
use crate::error::Error;
use crate::fence::Fence;
use crate::last_release::LastRelease;
use crate::lease::Lease;
use crate::leases::Leases;
use crate::options::AcquireOptions;
use crate::resource::{InvalidResource, Keys, Resource};
use crate::slots::Slots;
use crate::telemetry;
use crate::ticket::Ticket;
use crate::token::Token;
use crate::unavailable::{Cause, Unavailable};
use crate::waiting::Waiting;

pub use self::operator::{Forced, Listed, Page};

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

/// Who holds a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Who holds it: the owner that a Leasehold client gave, or the beginning of a foreign token.
    pub owner: Option<String>,
    /// After how long the key expires unless it is renewed; `None` if it never does.
    pub remaining: Option<Duration>,
    /// The fence of the last grant, of any slot, unless only foreign clients ever held it.
    pub fence: Option<Fence>,
    /// For how long, by the server's clock: at least, if that clock was set back meanwhile. `None`
    /// for a foreign client, and for a slot, which shares its fence with the others.
    pub held_for: Option<Duration>,
    /// How many processes wait in the queue for the resource; `None` if the store has no queue.
    pub waiters: Option<u64>,
    /// Tells this holding from every other, for [`Locker::force_release`]. It is no secret: the
    /// token cannot be found from it.
    pub id: Option<String>,
}

impl From<Holding> for Holder {
    fn from(holding: Holding) -> Self {
        Self {
            owner: holding.owner,
            remaining: holding.remaining,
            fence: holding.fence,
            held_for: holding.held_for,
            waiters: holding.waiters,
            id: holding.id,
        }
    }
}

impl Locker {
    /// Reads the configuration from the environment and `.env`, and connects.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] lists everything that is wrong with the configuration;
    /// [`Error::Unavailable`] tells why the master could not be reached.
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
    /// [`Error::Config`] lists what does not fit together in a configuration that was made in code;
    /// [`Error::Unavailable`] tells why the master could not be reached.
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
        let (backend, patience) =
            connecting::connect(topology, &config.lock, config.client_name, &waiting).await?;
        Ok(Self {
            core: Core::start(
                backend,
                waiting,
                config.lock,
                Clock::System,
                patience,
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

    /// As [`Locker::in_memory`], with options of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] lists what does not fit together in the options.
    pub fn in_memory_with(store: &MemoryStore, options: LockOptions) -> Result<Self, Error> {
        let mut config = Config::new(Locking::Disabled);
        config.lock = options;
        config.check()?;
        Ok(Self::over_memory(store, config.lock))
    }

    fn over_memory(store: &MemoryStore, options: LockOptions) -> Self {
        let backend = Backend::Memory(Memory::new(store.clone()));
        let patience = Duration::from_secs(2);
        Self {
            core: Core::start(
                backend,
                Arc::default(),
                options,
                store.clock(),
                patience,
                None,
            ),
        }
    }

    fn disabled(options: LockOptions) -> Self {
        tracing::warn!(
            "LOCKING IS DISABLED (IS_LOCKING_DISABLED=true): every lease is granted at once and \
             excludes nobody; set IS_LOCKING_DISABLED=false wherever two workers may run"
        );
        telemetry::locking_disabled();
        let patience = Duration::from_secs(2);
        Self {
            core: Core::start(
                Backend::Noop(Noop),
                Arc::default(),
                options,
                Clock::runtime(),
                patience,
                None,
            ),
        }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// Whether leases exclude anybody: `false` with locking disabled.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        !matches!(&*self.core.backend, Backend::Noop(_))
    }

    /// How leases behave that are acquired without options of their own.
    #[must_use]
    pub fn options(&self) -> &LockOptions {
        &self.core.options
    }

    fn target(&self, resource: Resource, options: &AcquireOptions) -> Result<Target, Error> {
        Ok(Target {
            keys: Arc::new(self.keys(&resource)?),
            resource,
            owner: options.owner.clone(),
        })
    }

    fn keys(&self, resource: &Resource) -> Result<Keys, Error> {
        Ok(Keys::new(&self.core.options.key_prefix, resource)?)
    }

    /// Leases a resource, and waits for it up to `LOCK_ACQUIRE_TIMEOUT`, or for ever without one.
    ///
    /// Waiters of one locker are served in the order of asking. A failover does not end the wait.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] names what stood in the way at the end; whatever waiting cannot mend
    /// (wrong credentials, missing permissions, an invalid name) is returned at once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue and takes back, in the background, what
    /// may have been granted unseen.
    pub async fn acquire<R>(&self, resource: R) -> Result<Lease, Error>
    where
        R: TryInto<Resource>,
        R::Error: Into<NameError>,
    {
        self.acquire_with(resource, &AcquireOptions::new()).await
    }

    /// As [`Locker::acquire`], with options of its own.
    ///
    /// # Errors
    ///
    /// As [`Locker::acquire`], and [`Error::Ttl`] for a lease length out of bounds.
    pub async fn acquire_with<R>(
        &self,
        resource: R,
        options: &AcquireOptions,
    ) -> Result<Lease, Error>
    where
        R: TryInto<Resource>,
        R::Error: Into<NameError>,
    {
        let resource = named(resource)?;
        let terms = options.resolve(&self.core.options)?;
        let held = acquiring::acquire(&self.core, self.target(resource, options)?, terms).await?;
        Ok(Lease::new(self.core.clone(), held))
    }

    /// Leases a resource if it is free now.
    ///
    /// # Errors
    ///
    /// [`Error::Held`] if somebody else holds it, [`Error::GateClosed`] and
    /// [`Error::NotReplicated`] in strict mode, [`Error::Unavailable`] and [`Error::Ambiguous`] if
    /// Redis could not be asked.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes back, in the background, what may have been granted unseen.
    pub async fn try_acquire<R>(&self, resource: R) -> Result<Lease, Error>
    where
        R: TryInto<Resource>,
        R::Error: Into<NameError>,
    {
        self.try_acquire_with(resource, &AcquireOptions::new())
            .await
    }

    /// As [`Locker::try_acquire`], with options of its own; their timeout does not matter.
    ///
    /// # Errors
    ///
    /// As [`Locker::try_acquire`], and [`Error::Ttl`] for a lease length out of bounds.
    pub async fn try_acquire_with<R>(
        &self,
        resource: R,
        options: &AcquireOptions,
    ) -> Result<Lease, Error>
    where
        R: TryInto<Resource>,
        R::Error: Into<NameError>,
    {
        let resource = named(resource)?;
        let terms = options.resolve(&self.core.options)?;
        let held =
            acquiring::try_acquire(&self.core, self.target(resource, options)?, terms).await?;
        Ok(Lease::new(self.core.clone(), held))
    }

    /// Leases a resource, runs `body` under the lease, and releases it.
    ///
    /// If the lease is lost, `body` is dropped where it stands and the call ends with
    /// [`Error::Lost`].
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
        R: TryInto<Resource>,
        R::Error: Into<NameError>,
    {
        let lease = self.acquire(resource).await?;
        let output = lease.guard(body(&lease)).await?;
        if let Err(error) = lease.release().await {
            tracing::warn!(%error, "the release goes on in the background");
        }
        Ok(output)
    }

    /// A resource that `limit` holders at a time may lease; 1 to 1,000.
    ///
    /// # Errors
    ///
    /// [`Error::Resource`] for a bad name, [`Error::SlotLimit`] for a limit out of bounds.
    pub fn slots<R>(&self, resource: R, limit: usize) -> Result<Slots, Error>
    where
        R: TryInto<Resource>,
        R::Error: Into<NameError>,
    {
        Slots::new(self.core.clone(), named(resource)?, limit)
    }

    /// Leases several resources, all or none, and waits for them like [`Locker::acquire`]. A
    /// resource that is named twice is leased once.
    ///
    /// They are leased in the order of their names, so callers with overlapping sets cannot block
    /// each other for ever. The timeout is for all of them together.
    ///
    /// # Errors
    ///
    /// As [`Locker::acquire_with`]. What was leased before the error is released.
    ///
    /// # Cancel safety
    ///
    /// As [`Locker::acquire`], for each of them.
    pub async fn acquire_all<R>(
        &self,
        resources: impl IntoIterator<Item = R>,
        options: &AcquireOptions,
    ) -> Result<Leases, Error>
    where
        R: TryInto<Resource>,
        R::Error: Into<NameError>,
    {
        let resources: BTreeSet<Resource> =
            resources.into_iter().map(named).collect::<Result<_, _>>()?;
        let targets: Vec<Target> = resources
            .into_iter()
            .map(|resource| self.target(resource, options))
            .collect::<Result<_, _>>()?;
        let terms = options.resolve(&self.core.options)?;
        let limit = terms.timeout.map(Limit::from_now);
        let mut leases = Vec::with_capacity(targets.len());
        for target in targets {
            let held = acquiring::acquire_within(&self.core, target, terms, limit).await?;
            leases.push(Lease::new(self.core.clone(), held));
        }
        let leases = Leases::new(leases);
        leases.check()?;
        Ok(leases)
    }

    /// Takes over a lease from another process: atomically, with a new token and a greater fence.
    /// The former holder, if it still is one, is told at its next renewal that it lost the lease.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the lease expired, was released, or somebody else took it over before;
    /// [`Error::Ttl`] if it is longer than `LOCK_MAX_TTL`; otherwise as [`Locker::try_acquire`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future releases, in the background, what may have been taken over unseen.
    pub async fn adopt(&self, ticket: &Ticket) -> Result<Lease, Error> {
        let resource = Resource::new(&ticket.resource)?;
        let options = AcquireOptions::new().ttl(ticket.ttl());
        let terms = options.resolve(&self.core.options)?;
        let (slot, target) = match ticket.slot {
            None => (0, self.target(resource, &options)?),
            Some((slot, limit)) => {
                let slots = Slots::new(
                    self.core.clone(),
                    resource,
                    limit.max(slot.saturating_add(1)),
                )?;
                (slot, slots.target())
            }
        };
        let from = Token::from_stored(&ticket.token);
        let held = acquiring::adopt(&self.core, target, terms, slot, &from).await?;
        Ok(Lease::new(self.core.clone(), held))
    }

    /// Why this locker still waits for a resource: what stood in the way of its last attempt, such
    /// as [`Error::GateClosed`] after a failover. `None` if it does not wait, or has only begun.
    ///
    /// Asks nobody. What a wait that timed out was waiting for is in [`Error::TimedOut`].
    ///
    /// # Errors
    ///
    /// [`Error::Resource`] for an invalid name.
    pub fn obstacle<R>(&self, resource: R) -> Result<Option<Error>, Error>
    where
        R: TryInto<Resource>,
        R::Error: Into<NameError>,
    {
        let keys = self.keys(&named(resource)?)?;
        Ok(self.core.waiting.obstacle(&keys.name))
    }

    /// Reads who holds a resource, without touching it. `None` if nobody does.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if Redis could not be asked.
    pub async fn inspect<R>(&self, resource: R) -> Result<Option<Holder>, Error>
    where
        R: TryInto<Resource>,
        R::Error: Into<NameError>,
    {
        let keys = self.keys(&named(resource)?)?;
        self.core.stop.check_tasks()?;
        let holdings = self.core.backend.inspect(&keys).await;
        let holdings = holdings.map_err(|failure| Error::Unavailable(failure.unavailable))?;
        Ok(holdings.into_iter().next().flatten().map(Holder::from))
    }

    /// Refuses new leases, ends those that are held ([`LostReason::Closed`]) and waits until all
    /// are given back, for as long as `limit`.
    ///
    /// Dropping the last clone and the last lease does the same without waiting, except that it
    /// leaves nothing to end.
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

/// Why something could not become a [`Resource`]; lets the same methods take a name or a checked
/// resource.
#[derive(Debug, Clone)]
pub struct NameError(InvalidResource);

impl From<InvalidResource> for NameError {
    fn from(error: InvalidResource) -> Self {
        Self(error)
    }
}

impl From<std::convert::Infallible> for NameError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

fn named<R>(resource: R) -> Result<Resource, Error>
where
    R: TryInto<Resource>,
    R::Error: Into<NameError>,
{
    resource
        .try_into()
        .map_err(|error| Error::Resource(error.into().0))
}
