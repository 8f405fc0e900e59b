//! How the command ends: one code for each kind of ending, none of which a child is likely to use.

use leasehold::{Cause, Error, Unavailable};

/// All went well.
pub(crate) const OK: u8 = 0;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 64;
/// Redis or its Sentinels cannot be used.
pub(crate) const UNREACHABLE: u8 = 69;
/// Something that must not happen.
pub(crate) const INTERNAL: u8 = 70;
/// Another client holds the resource, or the wait ended before the gate of strict mode opened.
pub(crate) const BUSY: u8 = 75;
/// The lease was lost while the command ran.
pub(crate) const LOST: u8 = 76;
/// Wrong credentials, or a permission that is missing.
pub(crate) const DENIED: u8 = 77;
/// The configuration cannot be used.
pub(crate) const CONFIG: u8 = 78;
/// The person who was asked said no.
pub(crate) const DECLINED: u8 = 79;
/// The command ran for longer than `--max-hold`.
pub(crate) const MAX_HOLD: u8 = 124;
/// The command cannot be executed.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// The command was not found.
pub(crate) const NOT_FOUND: u8 = 127;
/// Added to the number of the signal that ended a process.
pub(crate) const SIGNAL: u8 = 128;

/// A failure that ends the command: what to say, and the code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(crate) fn internal(doing: &str, error: &dyn std::fmt::Display) -> Self {
        Self::new(INTERNAL, format!("{doing}: {error}"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(code(&error), format!("{error:?}"))
    }
}

/// The exit code of an error of the SDK.
pub(crate) fn code(error: &Error) -> u8 {
    if let Some(unavailable) = error.unavailable() {
        return code_of_outage(unavailable);
    }
    match error {
        Error::Config(_) | Error::Unsupported { .. } => CONFIG,
        Error::Resource(_) | Error::Ttl { .. } | Error::SlotLimit { .. } => USAGE,
        Error::TimedOut { because, .. } => code(because),
        Error::Held(_) | Error::GateClosed(_) => BUSY,
        Error::NotReplicated { .. } | Error::NoQuorum { .. } => UNREACHABLE,
        Error::Lost { .. } => LOST,
        _ => INTERNAL,
    }
}

/// Whether another client was seen to hold the resource, at the end of the wait if there was one.
pub(crate) fn is_held(error: &Error) -> bool {
    match error {
        Error::Held(_) => true,
        Error::TimedOut { because, .. } => is_held(because),
        _ => false,
    }
}

pub(crate) fn code_of_outage(unavailable: &Unavailable) -> u8 {
    match unavailable.cause() {
        Cause::NoPassword | Cause::WrongPassword | Cause::NoPermission { .. } => DENIED,
        Cause::UnknownMaster { .. }
        | Cause::IsReplica { .. }
        | Cause::IsSentinel
        | Cause::IsNotSentinel
        | Cause::WrongType => CONFIG,
        _ => UNREACHABLE,
    }
}
