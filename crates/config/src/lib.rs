//! Typed configuration of the Leasehold lock SDK, read from the environment and a `.env` file.
//!
//! This crate opens no sockets. It turns variables into a [`Config`], tells everything that is wrong at
//! once ([`ConfigError`]) and everything that is odd beside it ([`Config::warnings`]), and never prints a secret.
//!
//! ```
//! use leasehold_config::{Config, Locking};
//!
//! let config = Config::from_vars([
//!     ("IS_LOCKING_DISABLED", "false"),
//!     ("REDIS_HOST", "localhost"),
//! ])?;
//! assert!(matches!(config.locking, Locking::Enabled(_)));
//! # Ok::<(), leasehold_config::ConfigError>(())
//! ```
//!
//! An application calls [`Config::from_env`]; a test calls [`Config::from_vars`]; code that overrides
//! some of the variables calls [`Config::builder_from_env`].

mod address_map;
mod assemble;
mod builder;
mod check;
mod config;
mod diagnostics;
mod duration;
mod endpoint;
mod env_file;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod layer;
mod leftovers;
mod lock_options;
mod mention;
mod nodes;
mod overrides;
mod parse;
mod raw;
mod reader;
mod resolve;
mod secret;
mod setting;
mod source;
mod suggestion;
mod topology;
mod url;
mod variables;
mod warning;

pub use address_map::AddressMap;
pub use builder::Builder;
pub use config::Config;
pub use duration::parse_duration;
pub use endpoint::{AddressError, Endpoint};
pub use error::{ConfigError, Problem, ProblemKind};
pub use lock_options::{LockOptions, Renewal, Safety};
pub use nodes::{Credentials, NodeOptions, Tls};
pub use secret::Secret;
pub use setting::Setting;
pub use source::Source;
pub use topology::{
    ClusterTopology, Locking, QuorumTopology, SentinelTopology, StandaloneTopology, Topology,
};
pub use warning::Warning;
