//! From the command line's options to a configuration and a locker.

use std::env;
use std::path::{Path, PathBuf};

use leasehold::config::{Builder, Locking, Safety, Topology};
use leasehold::{Config, ConfigError, Locker};

use crate::exit::{self, Failure};
use crate::output::{complain, plain};

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
    /// Begin every key with this (LOCK_KEY_PREFIX)
    #[arg(
        long,
        global = true,
        value_name = "PREFIX",
        help_heading = "Configuration"
    )]
    pub(crate) prefix: Option<String>,
    /// The name that people see as the holder (LOCK_OWNER)
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
        self.load(adjust).map_err(|error| {
            let mut failure = Failure::from(leasehold::Error::from(error));
            if let Some(hint) = self.missing_file() {
                failure.message.push_str(&format!("\n\n{hint}"));
            }
            failure
        })
    }

    /// For commands that need servers: the configuration, and which these are. `why` goes on after
    /// "locking is disabled:".
    pub(crate) fn servers(&self, why: &str) -> Result<(Config, Topology), Failure> {
        let config = self.config(|builder| builder)?;
        let Locking::Enabled(topology) = &config.locking else {
            let message = format!("locking is disabled: {why}");
            return Err(Failure::new(exit::CONFIG, message));
        };
        let topology = topology.clone();
        Ok((config, topology))
    }

    /// The configuration as the SDK would read it, except that locking is enabled unless somebody
    /// disabled it: to call this command is to ask for a lock.
    pub(crate) fn load(&self, adjust: impl Fn(Builder) -> Builder) -> Result<Config, ConfigError> {
        adjust(self.builder())
            .set_default("IS_LOCKING_DISABLED", "false")
            .build()
    }

    /// What to do about a configuration that lacks something, if the file that usually holds it is not here:
    /// cron and systemd start a command in another directory than a person does.
    pub(crate) fn missing_file(&self) -> Option<String> {
        let is_elsewhere = self.env_file.is_some() || env::var_os("LOCK_ENV_FILE").is_some();
        let file = Path::new("./.env");
        if is_elsewhere || file.exists() || file.is_symlink() {
            return None;
        }
        let here = env::current_dir().ok()?;
        Some(format!(
            "there is no ./.env in {}; give --env-file FILE, or set the variables in the environment",
            plain(&here.to_string_lossy()),
        ))
    }

    /// For commands that only look: a locker in strict mode would claim the gate, which is for clients that
    /// take locks. Returns the configuration as it was found as well.
    pub(crate) async fn onlooker(&self) -> Result<(Config, Locker), Failure> {
        let config = self.warned_config()?;
        let mut looking = config.clone();
        let has_gate = matches!(
            config.locking,
            Locking::Enabled(Topology::Sentinel(_) | Topology::Standalone(_))
        );
        if has_gate {
            looking.lock.safety = Safety::Relaxed;
            looking.lock.allow_mixed_safety = true;
        }
        Ok((config, Locker::connect(looking).await?))
    }

    /// For commands that wait for no lock: what the SDK logs does not concern them, what is odd in the
    /// configuration does.
    pub(crate) async fn locker(&self) -> Result<Locker, Failure> {
        Ok(Locker::connect(self.warned_config()?).await?)
    }

    fn warned_config(&self) -> Result<Config, Failure> {
        let config = self.config(|builder| builder)?;
        for warning in config.warnings() {
            complain(&format!("warning: {warning}"));
        }
        Ok(config)
    }
}
