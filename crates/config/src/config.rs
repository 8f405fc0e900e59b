//! The whole configuration, and the ways to get one.

use crate::builder::Builder;
use crate::check::{self, Misfit};
use crate::error::{ConfigError, Problem};
use crate::lock_options::LockOptions;
use crate::place::Place;
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
    /// The name that connections bear in `CLIENT LIST`; `None`: the SDK's own choice.
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

    /// Reads the environment of this process and, below it, the `.env` file.
    ///
    /// The file is `./.env` if it exists, or the one that `LOCK_ENV_FILE` names, which then must exist;
    /// `LOCK_ENV_FILE=none` reads no file. The environment itself is never changed.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] lists everything that is wrong.
    ///
    /// ```no_run
    /// let config = leasehold_config::Config::from_env()?;
    /// for warning in config.warnings() {
    ///     eprintln!("{warning}");
    /// }
    /// # Ok::<(), leasehold_config::ConfigError>(())
    /// ```
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::builder_from_env().build()
    }

    /// Reads the environment of this process and no file.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] lists everything that is wrong.
    pub fn from_process_env() -> Result<Self, ConfigError> {
        Builder::default().process_env().build()
    }

    /// Reads the variables given and nothing else. The last of two variables with one name counts.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] lists everything that is wrong.
    pub fn from_vars<I, K, V>(variables: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item = (K, V)>,
        K: Into<String>,
        V: Into<String>,
    {
        Builder::default().vars(variables).build()
    }

    /// A builder that reads nothing until it is told to.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A builder that reads what [`Config::from_env`] reads, for code that overrides some of it.
    pub fn builder_from_env() -> Builder {
        Builder::default().process_env().default_env_file()
    }

    /// Looks again at the rules that bind several values, for a configuration that was made or changed in code.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] lists everything that does not fit together.
    ///
    /// ```
    /// use std::time::Duration;
    /// use leasehold_config::{Config, Locking};
    ///
    /// let mut config = Config::new(Locking::Disabled);
    /// assert!(config.check().is_ok());
    /// config.lock.ttl = Duration::from_secs(60);
    /// let error = config.check().expect_err("longer than the longest lease");
    /// assert_eq!(error.problems()[0].variable(), "LOCK_TTL");
    /// ```
    pub fn check(&self) -> Result<(), ConfigError> {
        let problems: Vec<Problem> = check::misfits(self)
            .into_iter()
            .map(|misfit| self.problem(misfit))
            .collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(ConfigError { problems })
        }
    }

    fn problem(&self, misfit: Misfit) -> Problem {
        let setting = self.settings.iter().find(|s| s.name == misfit.variable);
        let place = setting.map_or(&Place::Builder, Setting::source);
        misfit.rejection.at(misfit.variable, place, None)
    }

    /// What is odd but does not stand in the way: for the log.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Every variable with the value that was in effect when the configuration was read, and its source.
    /// Empty for a configuration made by [`Config::new`].
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }
}
