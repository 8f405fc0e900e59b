//! Non-fatal findings.

use std::fmt;

use crate::source::Source;

/// Something that works but is probably a mistake. Never contains a secret.
///
/// ```
/// use leasehold_config::Config;
///
/// let config = Config::from_vars([
///     ("IS_LOCKING_DISABLED", "true"),
///     ("REDIS_SENTINEL_HOST", "sentinel-1"),
/// ])?;
/// let warning = &config.warnings()[0];
/// assert_eq!(warning.variable(), "REDIS_SENTINEL_HOST");
/// assert!(warning.message().contains("REDIS_SENTINEL_HOSTS"));
/// # Ok::<(), leasehold_config::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub(crate) variable: String,
    pub(crate) source: Source,
    pub(crate) message: String,
}

impl Warning {
    /// The variable as it was written.
    pub fn variable(&self) -> &str {
        &self.variable
    }

    /// Where the variable was set.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What is odd, and what to do about it.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} ({}): {}",
            self.variable, self.source, self.message
        )
    }
}
