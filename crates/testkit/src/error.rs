//! What can go wrong while a server is started, asked or waited for.

use std::{io, path::PathBuf, time::Duration};

/// The result of every fallible call of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the test kit could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program that must be installed is not.
    #[error("`{binary}` was not found. Install it: {install}")]
    MissingBinary {
        /// The program that was looked for.
        binary: String,
        /// The command or advice that brings it.
        install: &'static str,
    },
    /// A server ended, or stayed silent, instead of becoming ready.
    #[error("{server} did not become ready: {reason}\n--- last lines of its log ---\n{log}")]
    NotReady {
        /// Which server, by kind and address.
        server: String,
        /// What was seen instead.
        reason: String,
        /// The last lines of its log.
        log: String,
    },
    /// No port was free, although several were tried.
    #[error("no free port between {first} and {last}")]
    NoFreePort {
        /// The lowest port that was considered.
        first: u16,
        /// The highest port that was considered.
        last: u16,
    },
    /// A server refused a command, or could not be asked.
    #[error("{command} on {server} failed: {source}")]
    Command {
        /// Which server, by kind and address.
        server: String,
        /// The first words of the command.
        command: String,
        /// What the client library reported.
        source: redis::RedisError,
    },
    /// A server's answer was not of the expected form.
    #[error("{server} answered {command} with {answer}")]
    Answer {
        /// Which server, by kind and address.
        server: String,
        /// The first words of the command.
        command: String,
        /// The answer, as text.
        answer: String,
    },
    /// An outside program ended with a failure.
    #[error("`{program}` failed ({status}): {output}")]
    Program {
        /// The program and its first arguments.
        program: String,
        /// How it ended.
        status: String,
        /// What it printed.
        output: String,
    },
    /// A condition did not come true in time.
    #[error("waited {within:?} for {what}, in vain{last}")]
    Timeout {
        /// The condition.
        what: String,
        /// How long it was waited for.
        within: Duration,
        /// What was last seen, empty or starting with a colon.
        last: String,
    },
    /// Something was asked of a process that is not running.
    #[error("{server} is not running")]
    NotRunning {
        /// Which server, by kind and address.
        server: String,
    },
    /// A file or a process could not be handled.
    #[error("{doing} {}: {source}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which file or program.
        path: PathBuf,
        /// What the operating system reported.
        source: io::Error,
    },
    /// The feature needs something that this machine or this server lacks.
    #[error("{feature} is not available: {reason}")]
    Unavailable {
        /// What was asked for.
        feature: &'static str,
        /// What is missing.
        reason: String,
    },
}

/// Turns an operating system error into one that names the file.
pub(crate) fn file_error(
    doing: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> Error {
    let path = path.into();
    move |source| Error::File {
        doing,
        path,
        source,
    }
}
