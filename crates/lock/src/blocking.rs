//! The same locks for programs without an async runtime.
//!
//! A [`Locker`] has its own small runtime, with one thread for connections, renewals and
//! deadlines. Its methods block the calling thread. In async code they return
//! [`Error::BlockingInAsync`]; call them in `tokio::task::spawn_blocking` there.
//!
//! Dropping the last of a locker and its leases waits until they are released, for at most twice
//! `REDIS_COMMAND_TIMEOUT`, wherever it is dropped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{Config, Renewal};
use crate::error::{Error, LostReason};
use crate::fence::Fence;
use crate::holder::Holder;
use crate::lease::Released;
use crate::lifecycle::runtime::{self, OwnedRuntime};
use crate::options::AcquireOptions;
use crate::resource::Resource;
use crate::ticket::Ticket;

/// Hands out leases. Cheap to clone.
///
/// ```no_run
/// use leasehold::blocking::Locker;
///
/// let locker = Locker::from_env()?;
/// let lease = locker.acquire("nightly-report").wait()?;
/// println!("fence {}", lease.fence());
/// lease.release()?;
/// # Ok::<(), leasehold::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Locker {
    // Before the runtime, so that it is dropped while its tasks can still end.
    locker: crate::Locker,
    runtime: Arc<OwnedRuntime>,
}

/// A lease that is held; see [`crate::Lease`].
#[derive(Debug)]
#[must_use = "a lease that is dropped is released at once"]
pub struct Lease {
    lease: crate::Lease,
    runtime: Arc<OwnedRuntime>,
}

impl Locker {
    /// Reads the configuration from the environment and `.env`, and connects.
    ///
    /// # Errors
    ///
    /// As [`crate::Locker::from_env`], and [`Error::Runtime`] if no thread could be started.
    pub fn from_env() -> Result<Self, Error> {
        Self::connect(Config::from_env()?)
    }

    /// Connects as configured.
    ///
    /// # Errors
    ///
    /// As [`crate::Locker::connect`], and [`Error::Runtime`] if no thread could be started.
    pub fn connect(config: Config) -> Result<Self, Error> {
        let runtime = runtime::start()?;
        let locker = runtime.block_on(crate::Locker::connect(config))?;
        let runtime = OwnedRuntime::new(runtime, locker.core());
        Ok(Self {
            locker,
            runtime: Arc::new(runtime),
        })
    }

    /// Leases a resource, and waits for it up to `LOCK_ACQUIRE_TIMEOUT`, or without limit if that is not set.
    /// The request is sent by [`Acquire::wait`] or [`Acquire::with_lock`].
    ///
    /// # Errors
    ///
    /// As [`crate::Locker::acquire`].
    pub fn acquire(&self, resource: impl TryInto<Resource, Error: Into<Error>>) -> Acquire {
        self.request(self.locker.acquire(resource))
    }

    /// Leases a resource if it is free now. The timeout has no effect.
    ///
    /// # Errors
    ///
    /// As [`crate::Locker::try_acquire`].
    pub fn try_acquire(&self, resource: impl TryInto<Resource, Error: Into<Error>>) -> Acquire {
        self.request(self.locker.try_acquire(resource))
    }

    /// As [`Locker::acquire`] and then [`Acquire::with_lock`].
    ///
    /// # Errors
    ///
    /// As [`Acquire::with_lock`].
    pub fn with_lock<T>(
        &self,
        resource: impl TryInto<Resource, Error: Into<Error>>,
        body: impl FnOnce(&Lease) -> T,
    ) -> Result<T, Error> {
        self.acquire(resource).with_lock(body)
    }

    /// A resource that `limit` holders at a time may lease; 1 to 1,000.
    ///
    /// # Errors
    ///
    /// As [`crate::Locker::slots`].
    pub fn slots(
        &self,
        resource: impl TryInto<Resource, Error: Into<Error>>,
        limit: usize,
    ) -> Result<Slots, Error> {
        Ok(Slots {
            slots: self.locker.slots(resource, limit)?,
            runtime: self.runtime.clone(),
        })
    }

    /// Takes over a lease from another process.
    ///
    /// # Errors
    ///
    /// As [`crate::Locker::adopt`].
    pub fn adopt(&self, ticket: &Ticket) -> Acquire {
        self.request(self.locker.adopt(ticket))
    }

    /// Reads who holds a resource, without touching it.
    ///
    /// # Errors
    ///
    /// As [`crate::Locker::inspect`].
    pub fn inspect(
        &self,
        resource: impl TryInto<Resource, Error: Into<Error>>,
    ) -> Result<Option<Holder>, Error> {
        self.runtime.run(self.locker.inspect(resource))
    }

    /// Ends and releases everything, within `limit`.
    ///
    /// # Errors
    ///
    /// As [`crate::Locker::close`].
    pub fn close(self, limit: Duration) -> Result<(), Error> {
        self.runtime.run(self.locker.close(limit))
    }

    fn request(&self, request: crate::Acquire) -> Acquire {
        Acquire {
            request,
            runtime: self.runtime.clone(),
        }
    }
}

/// A request for a lease; see [`crate::Acquire`].
///
/// ```no_run
/// use std::time::Duration;
/// use leasehold::blocking::Locker;
///
/// let locker = Locker::from_env()?;
/// let lease = locker.acquire("report").timeout(Duration::from_secs(60)).wait()?;
/// lease.release()?;
/// # Ok::<(), leasehold::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is asked for before `wait` or `with_lock`"]
pub struct Acquire {
    request: crate::Acquire,
    runtime: Arc<OwnedRuntime>,
}

impl Acquire {
    /// As [`crate::Acquire::options`].
    pub fn options(self, options: &AcquireOptions) -> Self {
        self.with(|request| request.options(options))
    }

    /// As [`AcquireOptions::ttl`].
    pub fn ttl(self, ttl: Duration) -> Self {
        self.with(|request| request.ttl(ttl))
    }

    /// As [`AcquireOptions::timeout`].
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|request| request.timeout(timeout))
    }

    /// As [`AcquireOptions::renewal`].
    pub fn renewal(self, renewal: Renewal) -> Self {
        self.with(|request| request.renewal(renewal))
    }

    /// As [`AcquireOptions::owner`].
    pub fn owner(self, owner: impl Into<Arc<str>>) -> Self {
        self.with(|request| request.owner(owner))
    }

    /// As [`AcquireOptions::label`].
    pub fn label(self, label: &'static str) -> Self {
        self.with(|request| request.label(label))
    }

    /// Blocks until the lease is granted or refused.
    ///
    /// # Errors
    ///
    /// Those of the method that made the request, and [`Error::BlockingInAsync`].
    pub fn wait(self) -> Result<Lease, Error> {
        let lease = self.runtime.run(self.request.into_future())?;
        Ok(Lease {
            lease,
            runtime: self.runtime,
        })
    }

    /// Acquires the lease, runs `body` under it, and releases it.
    ///
    /// Nothing can stop `body` when the lease is lost: call [`Lease::check`] before each step, and
    /// send the [`Lease::fence`] to the resource that it writes to.
    ///
    /// ```no_run
    /// use leasehold::blocking::Locker;
    ///
    /// let locker = Locker::from_env()?;
    /// let fence = locker.acquire("report").with_lock(|lease| lease.fence())?;
    /// # Ok::<(), leasehold::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Acquire::wait`], and [`Error::Lost`] if the lease was lost before `body` ended.
    pub fn with_lock<T>(self, body: impl FnOnce(&Lease) -> T) -> Result<T, Error> {
        let lease = self.wait()?;
        let output = body(&lease);
        lease.check()?;
        if let Err(error) = lease.release() {
            tracing::warn!(?error, "the release goes on in the background");
        }
        Ok(output)
    }

    fn with(mut self, set: impl FnOnce(crate::Acquire) -> crate::Acquire) -> Self {
        self.request = set(self.request);
        self
    }
}

/// A resource with several slots; see [`crate::Slots`].
#[derive(Debug, Clone)]
pub struct Slots {
    // Before the runtime, so that it is dropped while its tasks can still end.
    slots: crate::Slots,
    runtime: Arc<OwnedRuntime>,
}

impl Slots {
    /// Leases any free slot, and waits for one.
    ///
    /// # Errors
    ///
    /// As [`crate::Slots::acquire`].
    pub fn acquire(&self) -> Acquire {
        self.request(self.slots.acquire())
    }

    /// Leases a slot if one is free now.
    ///
    /// # Errors
    ///
    /// As [`crate::Slots::try_acquire`].
    pub fn try_acquire(&self) -> Acquire {
        self.request(self.slots.try_acquire())
    }

    /// Reads who holds each slot, without touching any. The first is slot 0.
    ///
    /// # Errors
    ///
    /// As [`crate::Slots::inspect`].
    pub fn inspect(&self) -> Result<Vec<Option<Holder>>, Error> {
        self.runtime.run(self.slots.inspect())
    }

    fn request(&self, request: crate::Acquire) -> Acquire {
        Acquire {
            request,
            runtime: self.runtime.clone(),
        }
    }
}

impl Lease {
    /// What is leased.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        self.lease.resource()
    }

    /// The fencing token of this lease.
    #[must_use]
    pub fn fence(&self) -> Fence {
        self.lease.fence()
    }

    /// How long the lease is valid without a further renewal; zero once it is over.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.lease.remaining()
    }

    /// When the lease ends without a further renewal.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.lease.deadline()
    }

    /// Whether the lease is valid at this very moment.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.lease.is_valid()
    }

    /// The lease's validity as a `Result`, for the `?` before a step that needs it.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the lease is over.
    pub fn check(&self) -> Result<(), Error> {
        self.lease.check()
    }

    /// Blocks until the lease is lost or `limit` has passed; `None` if it still holds. With
    /// [`Duration::MAX`] it waits for the loss without end.
    #[must_use]
    pub fn lost_within(&self, limit: Duration) -> Option<LostReason> {
        if let Err(Error::Lost { reason, .. }) = self.check() {
            return Some(reason);
        }
        let watch = self.lease.watch();
        let lost = async move { tokio::time::timeout(limit, watch.lost()).await.ok() };
        self.runtime.wait(lost).flatten()
    }

    /// Renews now instead of at the next interval.
    ///
    /// # Errors
    ///
    /// As [`crate::Lease::renew`].
    pub fn renew(&self) -> Result<(), Error> {
        self.runtime.run(self.lease.renew())
    }

    /// Which of the resource's slots is leased, from 0; 0 too where there is only one.
    #[must_use]
    pub fn slot(&self) -> usize {
        self.lease.slot()
    }

    /// As [`crate::Lease::ticket`].
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        self.lease.ticket()
    }

    /// Ends this side of the lease and returns what another process needs to take it over.
    #[must_use = "without the ticket the lease can only expire"]
    pub fn into_ticket(self) -> Ticket {
        self.lease.into_ticket()
    }

    /// Releases the lease and waits for the outcome.
    ///
    /// # Errors
    ///
    /// As [`crate::Lease::release`].
    pub fn release(self) -> Result<Released, Error> {
        self.runtime.run(self.lease.release())
    }
}
