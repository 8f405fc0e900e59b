//! The same locks for programs without an async runtime.
//!
//! A [`Locker`] brings a small runtime of its own, with one thread for connections, renewals and
//! deadlines. Its methods block the calling thread. In async code they return
//! [`Error::BlockingInAsync`]; there, call them in `tokio::task::spawn_blocking`.
//!
//! Dropping the last of a locker and its leases waits until they are released, for at most twice
//! `REDIS_COMMAND_TIMEOUT`, wherever it is dropped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::error::{Error, LostReason};
use crate::fence::Fence;
use crate::lease::Released;
use crate::locker::{Holder, NameError};
use crate::options::AcquireOptions;
use crate::resource::Resource;
use crate::runtime::{self, OwnedRuntime};
use crate::ticket::Ticket;

/// Hands out leases. Cheap to clone.
///
/// ```no_run
/// use leasehold::blocking::Locker;
///
/// let locker = Locker::from_env()?;
/// let lease = locker.acquire("nightly-report")?;
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

    /// Leases a resource, and waits for it up to `LOCK_ACQUIRE_TIMEOUT`, or for ever without one.
    ///
    /// # Errors
    ///
    /// As [`crate::Locker::acquire`].
    pub fn acquire<R>(&self, resource: R) -> Result<Lease, Error>
    where
        R: TryInto<Resource>,
        R::Error: Into<NameError>,
    {
        self.acquire_with(resource, &AcquireOptions::new())
    }

    /// As [`Locker::acquire`], with options of its own.
    ///
    /// # Errors
    ///
    /// As [`crate::Locker::acquire_with`].
    pub fn acquire_with<R>(&self, resource: R, options: &AcquireOptions) -> Result<Lease, Error>
    where
        R: TryInto<Resource>,
        R::Error: Into<NameError>,
    {
        self.hold(
            self.runtime
                .run(self.locker.acquire_with(resource, options)),
        )
    }

    /// Leases a resource if it is free now.
    ///
    /// # Errors
    ///
    /// As [`crate::Locker::try_acquire`].
    pub fn try_acquire<R>(&self, resource: R) -> Result<Lease, Error>
    where
        R: TryInto<Resource>,
        R::Error: Into<NameError>,
    {
        self.hold(self.runtime.run(self.locker.try_acquire(resource)))
    }

    /// Takes over a lease from another process.
    ///
    /// # Errors
    ///
    /// As [`crate::Locker::adopt`].
    pub fn adopt(&self, ticket: &Ticket) -> Result<Lease, Error> {
        self.hold(self.runtime.run(self.locker.adopt(ticket)))
    }

    /// Reads who holds a resource, without touching it.
    ///
    /// # Errors
    ///
    /// As [`crate::Locker::inspect`].
    pub fn inspect<R>(&self, resource: R) -> Result<Option<Holder>, Error>
    where
        R: TryInto<Resource>,
        R::Error: Into<NameError>,
    {
        self.runtime.run(self.locker.inspect(resource))
    }

    /// Ends and gives back everything, within `limit`.
    ///
    /// # Errors
    ///
    /// As [`crate::Locker::close`].
    pub fn close(self, limit: Duration) -> Result<(), Error> {
        self.runtime.run(self.locker.close(limit))
    }

    fn hold(&self, lease: Result<crate::Lease, Error>) -> Result<Lease, Error> {
        lease.map(|lease| Lease {
            lease,
            runtime: self.runtime.clone(),
        })
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
        let lost = self.lease.loss_within(limit);
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

    /// Ends this side of the lease and returns what another process needs to take it over.
    #[must_use = "without the ticket the lease can only expire"]
    pub fn into_ticket(self) -> Ticket {
        self.lease.into_ticket()
    }

    /// Gives the lease back and waits for the outcome.
    ///
    /// # Errors
    ///
    /// As [`crate::Lease::release`].
    pub fn release(self) -> Result<Released, Error> {
        self.runtime.run(self.lease.release())
    }
}
