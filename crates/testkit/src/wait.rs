//! Waiting for a condition instead of sleeping for luck.

use std::{
    fmt::Display,
    thread,
    time::{Duration, Instant},
};

use crate::error::{Error, Result};

/// Short enough to go unnoticed beside a round trip through two processes, long enough to leave them the processor.
const POLL: Duration = Duration::from_millis(5);

/// Polls `condition` until it holds.
///
/// # Errors
///
/// [`Error::Timeout`], naming `what`, when it does not hold `within` the given time.
pub fn wait_until(
    what: impl Display,
    within: Duration,
    mut condition: impl FnMut() -> bool,
) -> Result<()> {
    wait_for(what, within, || {
        condition().then_some(()).ok_or_else(String::new)
    })
}

/// Polls `probe` until it gives a value, and returns that value.
///
/// The probe's error text says what was seen instead; the last one becomes part of the timeout's message.
///
/// # Errors
///
/// [`Error::Timeout`], naming `what`, when no value came `within` the given time.
pub fn wait_for<T, E: Display>(
    what: impl Display,
    within: Duration,
    mut probe: impl FnMut() -> std::result::Result<T, E>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        let seen = match probe() {
            Ok(value) => return Ok(value),
            Err(seen) => seen.to_string(),
        };
        if started.elapsed() >= within {
            let last = if seen.is_empty() {
                seen
            } else {
                format!(": {seen}")
            };
            return Err(Error::Timeout {
                what: what.to_string(),
                within,
                last,
            });
        }
        thread::sleep(POLL);
    }
}

/// Asserts that `condition` comes true `within` the given time.
///
/// # Panics
///
/// With a message that names `what`, at the caller's line, when it does not.
#[track_caller]
pub fn assert_eventually(what: impl Display, within: Duration, condition: impl FnMut() -> bool) {
    if let Err(error) = wait_until(what, within, condition) {
        panic!("{error}");
    }
}
