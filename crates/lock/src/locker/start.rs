//! From a configuration, or a store in memory, to a locker.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use leasehold_config::{Config, LockOptions, Locking};

use super::Locker;
use crate::backend::Backend;
use crate::backend::connect;
use crate::backend::memory::{Memory, MemoryStore};
use crate::backend::noop::Noop;
use crate::clock::Clock;
use crate::error::Error;
use crate::lifecycle::core::Core;
use crate::lifecycle::last_release::LastRelease;
use crate::lifecycle::wait_queue::Waiting;
use crate::telemetry;

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
            // Where nobody reads standard error, `eprintln` would panic.
            let _ = writeln!(io::stderr(), "WARNING: {DISABLED}");
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
}
