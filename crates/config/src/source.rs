//! Where a value came from.

use std::fmt;

/// The source of a value, and its line where the source has lines.
///
/// ```
/// use leasehold_config::Source;
///
/// let source = Source::EnvFile { file: ".env".into(), line: 12 };
/// assert_eq!(source.to_string(), ".env:12");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A call of the builder.
    Builder,
    /// The environment of this process.
    Environment,
    /// A line of a `.env` file, counted from 1; line 0 stands for the file as a whole.
    EnvFile {
        /// The path as it was given.
        file: String,
        /// The line on which the assignment begins.
        line: usize,
    },
    /// The variables handed to [`Config::from_vars`](crate::Config::from_vars).
    Given,
    /// Nobody set it.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builder => formatter.write_str("builder"),
            Self::Environment => formatter.write_str("environment"),
            Self::EnvFile { file, line: 0 } => formatter.write_str(file),
            Self::EnvFile { file, line } => write!(formatter, "{file}:{line}"),
            Self::Given => formatter.write_str("given variables"),
            Self::Default => formatter.write_str("default"),
        }
    }
}
