//! Code that overrides what is read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::assemble;
use crate::config::Config;
use crate::env_file;
use crate::error::ConfigError;
use crate::layer::Layer;
use crate::lock_options::{Renewal, Safety};
use crate::notes::Notes;
use crate::place::Place;
use crate::resolve;
use crate::topology::Locking;

/// Gathers the sources of a [`Config`]: calls of the builder beat the environment of the process, which
/// beats the `.env` file, which beats the defaults.
///
/// ```
/// use std::time::Duration;
/// use leasehold_config::Config;
///
/// let config = Config::builder()
///     .vars([("LOCK_TTL", "30s")])
///     .ttl(Duration::from_secs(60))
///     .build()?;
/// assert_eq!(config.lock.ttl, Duration::from_secs(60));
/// # Ok::<(), leasehold_config::ConfigError>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "a builder reads nothing until `build` is called"]
pub struct Builder {
    pub(crate) overrides: Vec<(String, String)>,
    pub(crate) locking: Option<Locking>,
    pub(crate) process_env: bool,
    pub(crate) given: Vec<(String, String)>,
    pub(crate) env_file: EnvFile,
}

/// Which `.env` file to read.
#[derive(Clone, Default)]
pub(crate) enum EnvFile {
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

    /// Sets a variable by its name, above every other source.
    pub fn set(mut self, variable: impl Into<String>, value: impl Into<String>) -> Self {
        self.overrides.push((variable.into(), value.into()));
        self
    }

    /// Sets the servers, or disables locking; every variable that would choose them is then without effect.
    pub fn locking(mut self, locking: impl Into<Locking>) -> Self {
        self.locking = Some(locking.into());
        self
    }

    /// Sets `LOCK_TTL`.
    pub fn ttl(self, ttl: Duration) -> Self {
        self.set("LOCK_TTL", duration_text(ttl))
    }

    /// Sets `LOCK_MAX_TTL`.
    pub fn max_ttl(self, max_ttl: Duration) -> Self {
        self.set("LOCK_MAX_TTL", duration_text(max_ttl))
    }

    /// Sets `LOCK_RENEW_INTERVAL`.
    pub fn renewal(self, renewal: Renewal) -> Self {
        match renewal {
            Renewal::Every(interval) => self.set("LOCK_RENEW_INTERVAL", duration_text(interval)),
            Renewal::Off => self.set("LOCK_RENEW_INTERVAL", "off"),
        }
    }

    /// Sets `LOCK_ACQUIRE_TIMEOUT`; `None`: wait for as long as it takes.
    pub fn acquire_timeout(self, timeout: Option<Duration>) -> Self {
        let text = timeout.map_or_else(|| "none".to_owned(), duration_text);
        self.set("LOCK_ACQUIRE_TIMEOUT", text)
    }

    /// Sets `LOCK_RETRY_INTERVAL`.
    pub fn retry_interval(self, interval: Duration) -> Self {
        self.set("LOCK_RETRY_INTERVAL", duration_text(interval))
    }

    /// Sets `LOCK_SAFETY`.
    pub fn safety(self, safety: Safety) -> Self {
        match safety {
            Safety::Strict => self.set("LOCK_SAFETY", "strict"),
            Safety::Relaxed => self.set("LOCK_SAFETY", "relaxed"),
        }
    }

    /// Sets `LOCK_KEY_PREFIX`.
    pub fn key_prefix(self, prefix: impl Into<String>) -> Self {
        self.set("LOCK_KEY_PREFIX", prefix)
    }

    /// Sets `LOCK_OWNER`.
    pub fn owner(self, owner: impl Into<String>) -> Self {
        self.set("LOCK_OWNER", owner)
    }

    /// Sets `REDIS_CLIENT_NAME`.
    pub fn client_name(self, name: impl Into<String>) -> Self {
        self.set("REDIS_CLIENT_NAME", name)
    }

    /// Reads the sources and puts the configuration together.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] lists everything that is wrong.
    pub fn build(self) -> Result<Config, ConfigError> {
        let mut notes = Notes::default();
        let mut layers = vec![
            Layer::from_pairs(self.overrides, &Place::Builder, &mut notes),
            Layer::from_pairs(self.given, &Place::Given, &mut notes),
        ];
        if self.process_env {
            layers.push(Layer::from_environment(std::env::vars_os(), &mut notes));
        }
        match self.env_file {
            EnvFile::None => {}
            EnvFile::Named(path) => {
                layers.push(env_file::read(&path, Some(&Place::Builder), &mut notes));
            }
            EnvFile::Found => layers.extend(find_env_file(&layers, &mut notes)),
        }
        let resolved = resolve::resolve(&layers, &mut notes);
        assemble::assemble(resolved, notes, self.locking)
    }
}

impl std::fmt::Debug for Builder {
    /// Prints which sources are read, but no value: any of them may be a secret.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Builder").finish_non_exhaustive()
    }
}

/// The file that `LOCK_ENV_FILE` names, which must exist, or else `./.env`, which may be missing.
fn find_env_file(layers: &[Layer], notes: &mut Notes) -> Option<Layer> {
    match resolve::peek(layers, "LOCK_ENV_FILE") {
        Some(entry) if entry.value.trim().eq_ignore_ascii_case("none") => None,
        Some(entry) => {
            let path = Path::new(entry.value.trim());
            Some(env_file::read(path, Some(&entry.place), notes))
        }
        None => Some(env_file::read(Path::new(".env"), None, notes)),
    }
}

/// A duration as [`Config`] reads it, exact to the nanosecond.
fn duration_text(duration: Duration) -> String {
    match duration.subsec_nanos() {
        0 => format!("{}s", duration.as_secs()),
        nanoseconds => {
            let decimal = format!("{}.{nanoseconds:09}", duration.as_secs());
            format!("{}s", decimal.trim_end_matches('0'))
        }
    }
}
