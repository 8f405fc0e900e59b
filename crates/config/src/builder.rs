//! Code that overrides what is read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::assemble;
use crate::config::Config;
use crate::diagnostics::Diagnostics;
use crate::env_file;
use crate::error::ConfigError;
use crate::layer::Layer;
use crate::lock_options::{Renewal, Safety};
use crate::overrides::Overrides;
use crate::resolve;
use crate::source::Source;
use crate::topology::Locking;

impl Config {
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
}

/// Gathers the sources of a [`Config`]: calls of the builder beat the environment of the process, which
/// beats the `.env` file, which beats the defaults.
///
/// ```
/// use std::time::Duration;
/// use leasehold_config::Config;
///
/// let config = Config::builder()
///     .vars([("IS_LOCKING_DISABLED", "true"), ("LOCK_TTL", "30s")])
///     .ttl(Duration::from_secs(60))
///     .build()?;
/// assert_eq!(config.lock.ttl, Duration::from_secs(60));
/// # Ok::<(), leasehold_config::ConfigError>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "a builder reads nothing until `build` is called"]
pub struct Builder {
    set: Vec<(String, String)>,
    defaults: Vec<(String, String)>,
    overrides: Overrides,
    process_env: bool,
    given: Vec<(String, String)>,
    env_file: EnvFile,
}

/// Which `.env` file to read.
#[derive(Clone, Default)]
enum EnvFile {
    #[default]
    None,
    /// The one that `LOCK_ENV_FILE` names, else `./.env` if it exists.
    Found,
    /// This one, which must exist.
    Named(PathBuf),
}

impl Builder {
    /// Reads the environment of this process.
    pub fn process_env(mut self) -> Self {
        self.process_env = true;
        self
    }

    /// Reads these variables, which rank as the environment does. The last of two with one name counts.
    pub fn vars<I, K, V>(mut self, variables: I) -> Self
    where
        I: IntoIterator<Item = (K, V)>,
        K: Into<String>,
        V: Into<String>,
    {
        let variables = variables.into_iter().map(|(k, v)| (k.into(), v.into()));
        self.given.extend(variables);
        self
    }

    /// Reads this `.env` file, which must exist; `LOCK_ENV_FILE` is then without effect.
    pub fn env_file(mut self, path: impl AsRef<Path>) -> Self {
        self.env_file = EnvFile::Named(path.as_ref().to_owned());
        self
    }

    /// Reads the `.env` file that [`Config::from_env`] reads.
    pub fn default_env_file(mut self) -> Self {
        self.env_file = EnvFile::Found;
        self
    }

    /// Sets a variable by its name, above the environment and the `.env` file. The methods that take typed
    /// values, such as [`Builder::ttl`], beat it.
    pub fn set(mut self, variable: impl Into<String>, value: impl Into<String>) -> Self {
        self.set.push((variable.into(), value.into()));
        self
    }

    /// Sets a variable by its name where no other source sets it.
    ///
    /// ```
    /// use leasehold_config::{Config, Locking};
    ///
    /// let config = Config::builder()
    ///     .vars([("REDIS_HOST", "localhost")])
    ///     .set_default("IS_LOCKING_DISABLED", "false")
    ///     .build()?;
    /// assert_ne!(config.locking, Locking::Disabled);
    /// # Ok::<(), leasehold_config::ConfigError>(())
    /// ```
    pub fn set_default(mut self, variable: impl Into<String>, value: impl Into<String>) -> Self {
        self.defaults.push((variable.into(), value.into()));
        self
    }

    /// Sets the servers, or disables locking; every variable that would choose them is then without effect.
    pub fn locking(mut self, locking: impl Into<Locking>) -> Self {
        self.overrides.locking = Some(locking.into());
        self
    }

    /// Sets the length of a lease, `LOCK_TTL`: from 100 ms to 365 days.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.overrides.ttl = Some(ttl);
        self
    }

    /// Sets the longest lease of any client, `LOCK_MAX_TTL`: from 100 ms to 365 days.
    pub fn max_ttl(mut self, max_ttl: Duration) -> Self {
        self.overrides.max_ttl = Some(max_ttl);
        self
    }

    /// Sets how far apart the data nodes' clocks may be where the SDK cannot measure it,
    /// `LOCK_MAX_CLOCK_SKEW`: from 1 ms to 365 days. After a failover without a pause, each grant waits for
    /// this long, until the longest lease from before is over.
    pub fn max_clock_skew(mut self, max_clock_skew: Duration) -> Self {
        self.overrides.max_clock_skew = Some(max_clock_skew);
        self
    }

    /// Lets a relaxed client grant where others use strict mode, `LOCK_ALLOW_MIXED_SAFETY`: a strict and a
    /// relaxed client may then hold one lock after a failover.
    pub fn allow_mixed_safety(mut self, allowed: bool) -> Self {
        self.overrides.allow_mixed_safety = Some(allowed);
        self
    }

    /// Sets `LOCK_RENEW_INTERVAL`: at least 1 ms and less than `LOCK_TTL`.
    pub fn renewal(mut self, renewal: Renewal) -> Self {
        self.overrides.renewal = Some(renewal);
        self
    }

    /// Sets `LOCK_ACQUIRE_TIMEOUT`: from 1 ms to 365 days; `None`: wait for as long as it takes.
    pub fn acquire_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.overrides.acquire_timeout = Some(timeout);
        self
    }

    /// Sets `LOCK_RETRY_INTERVAL`: from 1 ms to 365 days.
    pub fn retry_interval(mut self, interval: Duration) -> Self {
        self.overrides.retry_interval = Some(interval);
        self
    }

    /// Sets `LOCK_SAFETY`.
    pub fn safety(mut self, safety: Safety) -> Self {
        self.overrides.safety = Some(safety);
        self
    }

    /// Sets `LOCK_KEY_PREFIX`; an empty one means none.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.overrides.key_prefix = Some(prefix.into());
        self
    }

    /// Sets `LOCK_OWNER`; an empty one counts as unset.
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.overrides.owner = Some(owner.into()).filter(|owner: &String| !owner.is_empty());
        self
    }

    /// Sets `REDIS_CLIENT_NAME`; an empty one counts as unset.
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.overrides.client_name = Some(name.into()).filter(|name: &String| !name.is_empty());
        self
    }

    /// Reads the sources and puts the configuration together.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] lists everything that is wrong.
    pub fn build(self) -> Result<Config, ConfigError> {
        let mut diagnostics = Diagnostics::default();
        let mut layers = vec![
            Layer::from_pairs(self.set, &Source::Builder, &mut diagnostics),
            Layer::from_pairs(self.given, &Source::Given, &mut diagnostics),
        ];
        if self.process_env {
            layers.push(Layer::from_environment(
                std::env::vars_os(),
                &mut diagnostics,
            ));
        }
        match self.env_file {
            EnvFile::None => {}
            EnvFile::Named(path) => {
                layers.push(env_file::read(
                    &path,
                    Some(&Source::Builder),
                    &mut diagnostics,
                ));
            }
            EnvFile::Found => layers.extend(find_env_file(&layers, &mut diagnostics)),
        }
        let defaults = self.defaults.into_iter();
        layers.push(Layer::from_pairs(
            defaults,
            &Source::Builder,
            &mut diagnostics,
        ));
        let resolved = resolve::resolve(&layers, &mut diagnostics);
        assemble::assemble(resolved, diagnostics, self.overrides)
    }
}

impl std::fmt::Debug for Builder {
    /// Prints which sources are read, but no value: any of them may be a secret.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Builder").finish_non_exhaustive()
    }
}

/// The file that `LOCK_ENV_FILE` names, which must exist, or else `./.env`, which may be missing.
fn find_env_file(layers: &[Layer], diagnostics: &mut Diagnostics) -> Option<Layer> {
    match resolve::peek(layers, "LOCK_ENV_FILE") {
        Some(entry) if entry.value.trim().eq_ignore_ascii_case("none") => None,
        Some(entry) => {
            let path = Path::new(entry.value.trim());
            Some(env_file::read(path, Some(&entry.source), diagnostics))
        }
        None => Some(env_file::read(Path::new(".env"), None, diagnostics)),
    }
}
