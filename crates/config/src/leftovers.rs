//! What tools leave in a value: quotes, carriage returns, references that nobody expanded.

use crate::diagnostics::{Diagnostics, Rejection};
use crate::layer::Entry;
use crate::source::Source;

/// Why a value cannot be meant as it stands; for values that are no secrets.
pub(crate) fn rejection(entry: &Entry) -> Option<Rejection> {
    let value = entry.value.trim();
    let example = format!("{}=<the value>", entry.name);
    if comes_from_a_process(&entry.source) && is_quoted(value) {
        return Some(Rejection::value(
            "begins and ends with a quote, which is part of the value here",
            "the value without quotes; `docker run --env-file` and old versions of compose keep the quotes of a file",
            example,
        ));
    }
    if value.contains("${") || value.contains("$(") {
        return Some(Rejection::value(
            "refers to another variable with ${…} or $(…), which is not expanded",
            "the value itself; shells and compose expand ${NAME} if NAME is set there, Kubernetes expands $(NAME) if `env:` defines NAME before, systemd expands neither in Environment=",
            example,
        ));
    }
    None
}

/// A secret is sent as it stands, so that what looks wrong is only told of.
pub(crate) fn warn_of_secret(entry: &Entry, diagnostics: &mut Diagnostics) {
    let value = entry.value.trim();
    if comes_from_a_process(&entry.source) && is_quoted(value) {
        let message = "begins and ends with a quote, which is sent as part of the secret; `docker run --env-file` and old versions of compose keep the quotes of a file";
        diagnostics.warn(&entry.name, &entry.source, message);
    }
    if comes_from_a_process(&entry.source) && (value.contains("${") || value.contains("$(")) {
        let message = "contains ${ or $(, which is not expanded and is sent as part of the secret";
        diagnostics.warn(&entry.name, &entry.source, message);
    }
    if entry.value.ends_with('\r') {
        warn_of_line_end(entry, diagnostics);
    } else if value.len() != entry.value.len() {
        let message = "begins or ends with a blank, which is sent as part of the secret";
        diagnostics.warn(&entry.name, &entry.source, message);
    }
}

/// Windows line ends that a tool took for a part of the value.
pub(crate) fn warn_of_line_end(entry: &Entry, diagnostics: &mut Diagnostics) {
    if entry.value.ends_with('\r') {
        let message = "ends with a carriage return; the file it came from has Windows line ends, which `docker run --env-file` does not remove";
        diagnostics.warn(&entry.name, &entry.source, message);
    }
}

/// A `.env` file has a syntax for quotes, which was applied; code means what it says.
fn comes_from_a_process(source: &Source) -> bool {
    matches!(source, Source::Environment | Source::Given)
}

fn is_quoted(value: &str) -> bool {
    let is_between = |quote: char| value.starts_with(quote) && value.ends_with(quote);
    value.len() > 1 && (is_between('"') || is_between('\''))
}
