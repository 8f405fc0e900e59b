//! Everything that is wrong, told at once.

use std::fmt;

use crate::source::Source;
use crate::warning::Warning;

/// The configuration cannot be used. Holds every problem found, not only the first.
///
/// `Debug`, which `fn main() -> Result<(), ConfigError>` prints, is the same text as `Display`.
///
/// ```
/// use leasehold_config::{Config, ProblemKind};
///
/// let error = Config::from_vars([("LOCK_TTL", "soon"), ("REDIS_CONNECT_TIMEOUT", "never"), ("IS_LOCKING_DISABLED", "maybe")])
///     .expect_err("three values that mean nothing");
/// assert_eq!(error.problems().len(), 3);
/// assert!(error.problems().iter().all(|problem| problem.kind() == ProblemKind::InvalidValue));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Warning>,
}

impl ConfigError {
    /// Every problem, in the order of the variables' table.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What was found beside the problems, such as names that are almost those of variables. Often one of these
    /// is the cause of a problem.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

/// How to set a variable, where it is not a line of a `.env` file. The rules of quoting differ.
const WHERE_TO_SET: &str = "

How to set NAME to value:
     .env file:  NAME='value'
     shell:      export NAME='value'
     compose:    environment: { NAME: \"value\" }, with $ written as $$
     Kubernetes: env: [{ name: NAME, value: \"value\" }], always with quotes
     systemd:    Environment=\"NAME=value\", with % written as %%";

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => write!(formatter, "1 problem in the lock configuration")?,
            count => write!(formatter, "{count} problems in the lock configuration")?,
        }
        for (index, problem) in self.problems.iter().enumerate() {
            let number = index + 1;
            write!(formatter, "\n\n{number:>3}. {problem}")?;
        }
        if !self.warnings.is_empty() {
            formatter.write_str("\n\nAlso noticed:")?;
        }
        for warning in &self.warnings {
            write!(formatter, "\n   - {warning}")?;
        }
        let is_elsewhere =
            |problem: &Problem| matches!(problem.source, Source::Environment | Source::Default);
        if self.problems.iter().any(is_elsewhere) {
            formatter.write_str(WHERE_TO_SET)?;
        }
        Ok(())
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl std::error::Error for ConfigError {}

/// One thing that is wrong, with what is needed to put it right. Never contains a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub(crate) variable: String,
    pub(crate) source: Source,
    pub(crate) kind: ProblemKind,
    pub(crate) message: String,
    pub(crate) got: Option<String>,
    pub(crate) accepted: String,
    pub(crate) example: String,
}

impl Problem {
    /// The variable as it was written, which may be an alias.
    pub fn variable(&self) -> &str {
        &self.variable
    }

    /// Where it was set, such as `.env:12`.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What sort of problem it is.
    pub fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// What is wrong, as the rest of a sentence that begins with the variable's name.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The value that was found, shortened and escaped; `None` where it is absent or may hold a secret.
    pub fn got(&self) -> Option<&str> {
        self.got.as_deref()
    }

    /// What would have been accepted.
    pub fn accepted(&self) -> &str {
        &self.accepted
    }

    /// A line that works.
    pub fn example(&self) -> &str {
        &self.example
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.variable, self.message)?;
        if let Some(got) = &self.got {
            write!(formatter, "\n     got:      {got}")?;
        }
        match &self.source {
            Source::Default => formatter.write_str("\n     from:     no source sets it")?,
            source => write!(formatter, "\n     from:     {source}")?,
        }
        write!(
            formatter,
            "\n     accepted: {}\n     example:  {}",
            self.accepted, self.example
        )
    }
}

/// What sort of problem it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemKind {
    /// Something that is needed is not set.
    Missing,
    /// The value is not one that the variable accepts.
    InvalidValue,
    /// Two variables, or a variable and its `…_FILE`, exclude each other.
    Collision,
    /// Each value is fine, but they do not fit together.
    Inconsistent,
    /// A line of the `.env` file would be read differently by different programs.
    AmbiguousLine,
    /// A file that is named cannot be read.
    UnreadableFile,
    /// A value is not UTF-8.
    NotUnicode,
}
