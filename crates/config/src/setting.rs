//! One line of the effective configuration.

use crate::source::Source;

/// A variable, the value in effect, and where it came from. Secrets are hidden.
///
/// ```
/// use leasehold_config::Config;
///
/// let config = Config::from_vars([
///     ("IS_LOCKING_DISABLED", "true"),
///     ("LOCK_TTL", "1m"),
///     ("REDIS_PASSWORD", "correct horse"),
/// ])?;
/// let find = |name| config.settings().iter().find(move |setting| setting.name() == name);
/// let ttl = find("LOCK_TTL").expect("every variable has a setting");
/// assert_eq!((ttl.value(), ttl.source().to_string().as_str()), (Some("1m"), "given variables"));
/// let password = find("REDIS_PASSWORD").expect("every variable has a setting");
/// assert_eq!(password.value(), Some("[hidden]"));
/// # Ok::<(), leasehold_config::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub(crate) name: &'static str,
    pub(crate) value: Option<String>,
    pub(crate) source: Source,
}

impl Setting {
    /// The variable's canonical name, also where an alias was set.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The value in effect, `[hidden]` for a secret, `None` where nothing is set and nothing stands in for it.
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// Where the value came from.
    pub fn source(&self) -> &Source {
        &self.source
    }
}
