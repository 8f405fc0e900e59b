//! Checking what was recorded.

use std::{fs, io, path::Path};

use crate::{
    checker::{self, Bounds, Violation},
    client::Protocol,
    history::{self, Event},
    report::Report,
    timeline,
};

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// The counts.
    pub report: Report,
    /// Every broken rule.
    pub violations: Vec<Violation>,
}

/// Reads the histories in a directory, checks them, and leaves what was found beside them.
///
/// # Errors
///
/// When files cannot be read or written.
pub fn examine(directory: &Path, seed: u64, protocol: Protocol) -> io::Result<Outcome> {
    let history: Vec<Event> = history::read(directory)?;
    let violations = checker::check(&history, Bounds::of(protocol));
    let report = Report::of(&history, &violations, seed, protocol);
    if !violations.is_empty() {
        fs::write(
            directory.join("violations.json"),
            serde_json::to_string_pretty(&violations)?,
        )?;
        fs::write(
            directory.join("timeline.svg"),
            timeline::draw(&history, &violations),
        )?;
    }
    Ok(Outcome { report, violations })
}
