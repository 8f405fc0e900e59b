//! Durations as the variables take them, for programs that have options of their own.

use std::time::Duration;

use crate::parse;

/// Reads a duration as `LOCK_TTL` does: `5`, `0.5`, `500ms`, `5s`, `2m` or `1h`.
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(leasehold_config::parse_duration("500ms"), Ok(Duration::from_millis(500)));
/// assert!(leasehold_config::parse_duration("soon").is_err());
/// ```
///
/// # Errors
///
/// What is wrong with the text and what is accepted, for people.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    parse::duration("", text, "")
        .map_err(|rejection| format!("{}; accepted: {}", rejection.message, rejection.accepted))
}
