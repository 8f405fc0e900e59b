//! A request for a lease: the resource and the options, until it is awaited.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use leasehold_config::Renewal;

use crate::error::Error;
use crate::lease::Lease;
use crate::options::AcquireOptions;
use crate::resource::Resource;

type Running<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;
type Start<T> = Box<dyn FnOnce(AcquireOptions) -> Running<T> + Send>;

/// A request for a lease, or for several ([`Locker::acquire_all`](crate::Locker::acquire_all)).
/// Nothing is sent until it is awaited. Options that are not set come from the configuration.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), leasehold::Error> {
/// # use std::time::Duration;
/// # use leasehold::{Locker, MemoryStore};
/// # let locker = Locker::in_memory(&MemoryStore::new());
/// let lease = locker
///     .acquire("report")
///     .ttl(Duration::from_secs(10))
///     .timeout(Duration::from_secs(60))
///     .label("reports")
///     .await?;
/// lease.release().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Besides those of the method that made the request, [`Error::Ttl`] for a lease length and
/// [`Error::Config`] for a renewal interval out of bounds.
#[must_use = "nothing is asked for until the request is awaited"]
pub struct Acquire<T = Lease> {
    options: AcquireOptions,
    start: Start<T>,
}

impl<T> Acquire<T> {
    pub(crate) fn new<F>(start: impl FnOnce(AcquireOptions) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        Self {
            options: AcquireOptions::new(),
            start: Box::new(move |options| Box::pin(start(options))),
        }
    }

    /// Sets everything at once, as far as it is set in `options`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), leasehold::Error> {
    /// # use leasehold::{Locker, MemoryStore};
    /// # let locker = Locker::in_memory(&MemoryStore::new());
    /// use leasehold::AcquireOptions;
    ///
    /// let for_reports = AcquireOptions::new().label("reports");
    /// let lease = locker.acquire("report").options(&for_reports).await?;
    /// # lease.release().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn options(mut self, options: &AcquireOptions) -> Self {
        self.options = self.options.overridden_by(options);
        self
    }

    /// As [`AcquireOptions::ttl`].
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.options = self.options.ttl(ttl);
        self
    }

    /// As [`AcquireOptions::timeout`]; without effect on a request that does not wait.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options = self.options.timeout(timeout);
        self
    }

    /// As [`AcquireOptions::renewal`].
    pub fn renewal(mut self, renewal: Renewal) -> Self {
        self.options = self.options.renewal(renewal);
        self
    }

    /// As [`AcquireOptions::owner`].
    pub fn owner(mut self, owner: impl Into<Arc<str>>) -> Self {
        self.options = self.options.owner(owner);
        self
    }

    /// As [`AcquireOptions::label`].
    pub fn label(mut self, label: &'static str) -> Self {
        self.options = self.options.label(label);
        self
    }
}

impl Acquire<Lease> {
    /// Acquires the lease, runs `body` under it, and releases it.
    ///
    /// If the lease is lost, `body` is dropped at its current `await` and the call ends with
    /// [`Error::Lost`]. See [`Lease::guard`] for what dropping stops.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), leasehold::Error> {
    /// # use std::time::Duration;
    /// # use leasehold::{Locker, MemoryStore};
    /// # let locker = Locker::in_memory(&MemoryStore::new());
    /// let gpus = locker.slots("gpu", 4)?;
    /// let slot = gpus
    ///     .acquire()
    ///     .timeout(Duration::from_secs(60))
    ///     .with_lock(async |lease| lease.slot())
    ///     .await?;
    /// assert!(slot < 4);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As the request, and [`Error::Lost`] if the lease was lost before `body` ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `body` and releases the lease in the background.
    pub async fn with_lock<T>(self, body: impl AsyncFnOnce(&Lease) -> T) -> Result<T, Error> {
        let lease = self.await?;
        let output = lease.guard(body(&lease)).await?;
        if let Err(error) = lease.release().await {
            tracing::warn!(?error, "the release goes on in the background");
        }
        Ok(output)
    }
}

/// A name, checked.
pub(crate) fn named<R>(resource: R) -> Result<Resource, Error>
where
    R: TryInto<Resource, Error: Into<Error>>,
{
    resource.try_into().map_err(Into::into)
}

impl<T> IntoFuture for Acquire<T> {
    type Output = Result<T, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        (self.start)(self.options)
    }
}

impl<T> fmt::Debug for Acquire<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
