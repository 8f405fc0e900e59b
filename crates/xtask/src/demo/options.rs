//! What the demo is asked for.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Shorter runs leave no time for the failover.
const SHORTEST: u64 = 10;
const LONGEST: u64 = 3600;

/// As given on the command line.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Print the result as JSON
    #[arg(long = "json")]
    pub(crate) as_json: bool,
    /// How long the workers work
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(SHORTEST..=LONGEST))]
    seconds: u64,
    /// `LOCK_SAFETY` of the workers
    #[arg(long, value_enum, default_value_t = Safety::Strict)]
    pub(crate) safety: Safety,
    /// Draw the run into this file
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}

impl Options {
    pub(crate) fn length(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// `LOCK_SAFETY` of the workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Safety {
    Strict,
    Relaxed,
}

impl fmt::Display for Safety {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strict => "strict",
            Self::Relaxed => "relaxed",
        })
    }
}
