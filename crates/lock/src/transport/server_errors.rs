//! Server and I/O errors of the `redis` crate, translated into our causes by their code.

use std::time::Duration;

use leasehold_config::Endpoint;
use redis::{ErrorKind, RedisError, ServerError, ServerErrorKind, Value};

use crate::unavailable::{Cause, Unavailable, printable};

/// A failed command: why, and whether it may have been carried out all the same.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) unavailable: Unavailable,
    pub(crate) outcome: Outcome,
}

/// What is known of a failed command's effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The server refused it, or it was never sent.
    NotApplied,
    /// It may have been carried out: the connection ended or the time ran out before the reply.
    Unknown,
}

impl Failure {
    pub(crate) fn not_applied(unavailable: Unavailable) -> Self {
        Self {
            unavailable,
            outcome: Outcome::NotApplied,
        }
    }

    pub(crate) fn unknown(unavailable: Unavailable) -> Self {
        Self {
            unavailable,
            outcome: Outcome::Unknown,
        }
    }
}

/// The cause behind an error of the `redis` crate on a connection, and the command's outcome.
pub(crate) fn command_error(error: &RedisError) -> (Cause, Outcome) {
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension => {
            let code = error.code().unwrap_or_default();
            (
                by_code(code, error.detail().unwrap_or_default()),
                Outcome::NotApplied,
            )
        }
        ErrorKind::Io if error.is_timeout() => (
            Cause::Timeout {
                after: Duration::ZERO,
            },
            Outcome::Unknown,
        ),
        ErrorKind::Io => (Cause::Disconnected, Outcome::Unknown),
        _ => (
            Cause::Protocol {
                detail: printable(&error.to_string()),
            },
            Outcome::Unknown,
        ),
    }
}

/// The cause behind an error reply inside a pipeline or script.
pub(crate) fn server_error(error: &ServerError) -> Cause {
    by_code(error.code(), error.details().unwrap_or_default())
}

/// Whether the server does not know the script yet.
pub(crate) fn is_unknown_script(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript))
}

/// The cause behind an error while a connection is set up (HELLO, AUTH, SELECT).
pub(crate) fn handshake_error(error: &RedisError) -> Cause {
    match error.kind() {
        ErrorKind::AuthenticationFailed => Cause::WrongPassword,
        ErrorKind::RESP3NotSupported => Cause::CommandDisabled {
            command: "HELLO".into(),
        },
        ErrorKind::Parse => Cause::Protocol {
            detail: "something other than the Redis protocol".to_owned(),
        },
        _ => command_error(error).0,
    }
}

fn by_code(code: &str, detail: &str) -> Cause {
    match code {
        "NOAUTH" => Cause::NoPassword,
        "WRONGPASS" => Cause::WrongPassword,
        "NOPERM" => Cause::NoPermission {
            detail: printable(detail),
        },
        "READONLY" => Cause::ReadOnly,
        "MISCONF" => Cause::DiskError,
        "OOM" => Cause::OutOfMemory,
        "LOADING" => Cause::Loading,
        "BUSY" => Cause::Busy,
        "CLUSTERDOWN" => Cause::ClusterDown,
        "NOREPLICAS" => Cause::NoReplicas,
        "MASTERDOWN" => Cause::MasterDown,
        "WRONGTYPE" => Cause::WrongType,
        "DENIED" => Cause::ProtectedMode,
        "TRYAGAIN" => Cause::TryAgain,
        "CROSSSLOT" => Cause::CrossSlot,
        "MOVED" | "ASK" => redirection(code, detail),
        _ => by_text(code, detail),
    }
}

/// `MOVED 3999 127.0.0.1:6381`
fn redirection(code: &str, detail: &str) -> Cause {
    let to = detail
        .rsplit_once(' ')
        .and_then(|(_, to)| Endpoint::parse(to, 6379).ok());
    match to {
        Some(to) if code == "ASK" => Cause::Ask { to },
        Some(to) => Cause::Moved { to },
        None => Cause::Protocol {
            detail: printable(&format!("{code} {detail}")),
        },
    }
}

/// Errors that carry no code of their own: Redis before 7 wraps what happens inside a script, and
/// newer ones report a missing permission there as a plain error.
fn by_text(code: &str, detail: &str) -> Cause {
    const WRAPPED: [&str; 7] = [
        "-READONLY ",
        "-OOM ",
        "-MISCONF ",
        "-NOREPLICAS ",
        "-WRONGTYPE ",
        "-LOADING ",
        "-NOPERM ",
    ];
    if let Some(inner) = WRAPPED.iter().find(|inner| detail.contains(*inner)) {
        return by_code(inner.trim_matches(['-', ' ']), detail);
    }
    if detail.contains("READONLY You can't write") {
        return Cause::ReadOnly;
    }
    if detail.contains("can't run this command") || detail.contains("No permissions to access") {
        return Cause::NoPermission {
            detail: printable(detail),
        };
    }
    if let Some(command) = disabled_command(detail) {
        return Cause::CommandDisabled { command };
    }
    if detail.contains("max number of clients") {
        return Cause::TooManyClients;
    }
    if detail.contains("invalid username-password pair") {
        return Cause::WrongPassword;
    }
    let text = if code.is_empty() {
        detail.to_owned()
    } else {
        format!("{code} {detail}")
    };
    Cause::Server {
        detail: printable(text.trim()),
    }
}

/// The command that the server does not know, by the words of Redis and of common proxies. Of its
/// arguments, which the server repeats, nothing is kept.
fn disabled_command(detail: &str) -> Option<String> {
    const LONGEST: usize = 32;
    let lower = detail.to_ascii_lowercase();
    let before = ["unknown command", "unsupported command"]
        .iter()
        .find_map(|words| Some(lower.find(words)? + words.len()))?;
    let command: String = detail[before..]
        .trim_start_matches([' ', ':', '\'', '`', '"'])
        .chars()
        .take_while(|character| character.is_ascii_alphanumeric() || *character == '.')
        .take(LONGEST)
        .collect();
    if command.is_empty() {
        return Some("that was sent".to_owned());
    }
    Some(command.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(reply: &str) -> Cause {
        let value = redis::parse_redis_value(reply.as_bytes()).expect("a reply");
        let redis::Value::ServerError(error) = value else {
            panic!("no error: {value:?}")
        };
        server_error(&error)
    }

    #[test]
    fn codes_are_told_apart() {
        assert_eq!(
            parse("-NOAUTH Authentication required.\r\n"),
            Cause::NoPassword
        );
        assert_eq!(
            parse("-WRONGPASS invalid username-password pair\r\n"),
            Cause::WrongPassword
        );
        assert_eq!(
            parse("-READONLY You can't write against a read only replica.\r\n"),
            Cause::ReadOnly
        );
        assert_eq!(
            parse("-MISCONF Redis is configured to save RDB\r\n"),
            Cause::DiskError
        );
        assert_eq!(parse("-OOM command not allowed\r\n"), Cause::OutOfMemory);
        assert_eq!(parse("-LOADING Redis is loading\r\n"), Cause::Loading);
        assert_eq!(
            parse("-BUSY Redis is busy running a script\r\n"),
            Cause::Busy
        );
        assert_eq!(
            parse("-CLUSTERDOWN Hash slot not served\r\n"),
            Cause::ClusterDown
        );
        assert_eq!(
            parse("-NOREPLICAS Not enough good replicas\r\n"),
            Cause::NoReplicas
        );
        assert_eq!(
            parse("-MASTERDOWN Link with MASTER is down\r\n"),
            Cause::MasterDown
        );
        assert_eq!(
            parse("-WRONGTYPE Operation against a key\r\n"),
            Cause::WrongType
        );
        assert_eq!(
            parse(
                "-DENIED Redis is running in protected mode because protected mode is enabled\r\n"
            ),
            Cause::ProtectedMode
        );
        assert_eq!(
            parse("-ERR max number of clients reached\r\n"),
            Cause::TooManyClients
        );
    }

    #[test]
    fn errors_from_inside_scripts_are_recognised() {
        let wrapped = "-ERR Error running script (call to f_1): @user_script:1: -OOM command not \
                       allowed when used memory > 'maxmemory'.\r\n";
        assert_eq!(parse(wrapped), Cause::OutOfMemory);
        let denied = "-ERR The user executing the script can't run this command or subcommand \
                      script: 1f\r\n";
        assert!(matches!(parse(denied), Cause::NoPermission { .. }));
    }

    #[test]
    fn unknown_errors_are_printed_safely() {
        let Cause::Server { detail } = parse("-ERR bad \u{1b}[31m thing\r\n") else {
            panic!("not a server error")
        };
        assert_eq!(detail, "ERR bad \\u{1b}[31m thing");
    }
}
