//! The whole configuration.

use crate::lock_options::LockOptions;
use crate::setting::Setting;
use crate::topology::Locking;
use crate::warning::Warning;

/// Everything that a locker needs to know before it opens its first connection.
///
/// ```
/// use leasehold_config::{Config, Locking, Topology};
///
/// let config = Config::from_vars([
///     ("IS_LOCKING_DISABLED", "false"),
///     ("REDIS_SENTINEL_HOSTS", "sentinel-1:26379,sentinel-2:26379,sentinel-3:26379"),
///     ("REDIS_SENTINEL_SERVICE", "mymaster"),
/// ])?;
/// assert!(matches!(&config.locking, Locking::Enabled(Topology::Sentinel(s)) if s.sentinels.len() == 3));
/// # Ok::<(), leasehold_config::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Whether locks are taken, and which servers keep them.
    pub locking: Locking,
    /// How leases behave.
    pub lock: LockOptions,
    /// The name of the connections in `CLIENT LIST`; `None`: the SDK's own choice.
    pub client_name: Option<String>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) settings: Vec<Setting>,
}

impl Config {
    /// A configuration made in code, with the default [`LockOptions`] for these servers. Reads nothing.
    ///
    /// ```
    /// use leasehold_config::{Config, Endpoint, StandaloneTopology};
    ///
    /// let config = Config::new(StandaloneTopology::new(Endpoint::new("localhost", 6379)));
    /// assert!(config.warnings().is_empty());
    /// ```
    pub fn new(locking: impl Into<Locking>) -> Self {
        let locking = locking.into();
        Self {
            lock: LockOptions::new(&locking),
            locking,
            client_name: None,
            warnings: Vec::new(),
            settings: Vec::new(),
        }
    }

    /// Non-fatal warnings to log.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Every variable with the value that was in effect when the configuration was read, and its source.
    /// Empty for a configuration made by [`Config::new`].
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }
}
