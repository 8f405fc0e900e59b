//! What the demo is asked for.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::arguments::{Arguments, Misuse};

/// Shorter runs leave no time for the failover.
const SHORTEST: u64 = 10;
const LONGEST: u64 = 3600;

/// As given on the command line.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) as_json: bool,
    pub(crate) length: Duration,
    pub(crate) safety: Safety,
    pub(crate) svg: Option<PathBuf>,
}

/// `LOCK_SAFETY` of the workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Safety {
    Strict,
    Relaxed,
}

impl FromStr for Safety {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "strict" => Ok(Self::Strict),
            "relaxed" => Ok(Self::Relaxed),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Safety {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strict => "strict",
            Self::Relaxed => "relaxed",
        })
    }
}

impl Options {
    pub(crate) fn read(mut arguments: Arguments) -> Result<Self, Misuse> {
        let options = Self {
            as_json: arguments.flag("--json"),
            length: seconds(arguments.value("--seconds")?.unwrap_or(20))?,
            safety: arguments.value("--safety")?.unwrap_or(Safety::Strict),
            svg: arguments.value("--svg")?,
        };
        arguments.finish()?;
        Ok(options)
    }
}

fn seconds(number: u64) -> Result<Duration, Misuse> {
    if (SHORTEST..=LONGEST).contains(&number) {
        return Ok(Duration::from_secs(number));
    }
    Err(Misuse::new(format!(
        "--seconds must be between {SHORTEST} and {LONGEST}"
    )))
}
