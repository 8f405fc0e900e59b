//! From the command line's options to a configuration and a locker.

use std::path::PathBuf;

use leasehold::config::Builder;
use leasehold::{Config, ConfigError, Locker};

use crate::exit::Failure;

/// Where the configuration comes from.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Source {
    /// Read this file instead of ./.env
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Configuration"
    )]
    pub(crate) env_file: Option<PathBuf>,
    /// Put this before every key (LOCK_KEY_PREFIX)
    #[arg(
        long,
        global = true,
        value_name = "PREFIX",
        help_heading = "Configuration"
    )]
    pub(crate) prefix: Option<String>,
    /// Who holds what is leased, for people (LOCK_OWNER)
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        help_heading = "Configuration"
    )]
    pub(crate) owner: Option<String>,
}

impl Source {
    fn builder(&self) -> Builder {
        let mut builder = match &self.env_file {
            Some(path) => Config::builder().process_env().env_file(path),
            None => Config::builder_from_env(),
        };
        if let Some(prefix) = &self.prefix {
            builder = builder.key_prefix(prefix);
        }
        if let Some(owner) = &self.owner {
            builder = builder.owner(owner);
        }
        builder
    }

    /// As [`Source::load`], as a failure of the command.
    pub(crate) fn config(&self, adjust: impl Fn(Builder) -> Builder) -> Result<Config, Failure> {
        Ok(self.load(adjust).map_err(leasehold::Error::from)?)
    }

    /// The configuration as the SDK would read it, except that locking is enabled unless somebody
    /// disabled it: to call this command is to ask for a lock.
    pub(crate) fn load(&self, adjust: impl Fn(Builder) -> Builder) -> Result<Config, ConfigError> {
        adjust(self.builder())
            .set_default("IS_LOCKING_DISABLED", "false")
            .build()
    }

    pub(crate) async fn locker(&self) -> Result<Locker, Failure> {
        Ok(Locker::connect(self.config(|builder| builder)?).await?)
    }
}
