//! What is found to be wrong or odd while the sources are read.

use crate::error::{Problem, ProblemKind};
use crate::place::Place;
use crate::secret::HIDDEN;
use crate::variables::Variable;
use crate::warning::Warning;

#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Warning>,
}

impl Notes {
    pub(crate) fn warn(&mut self, variable: &str, place: &Place, message: impl Into<String>) {
        self.warnings.push(Warning {
            variable: variable.to_owned(),
            place: place.clone(),
            message: message.into(),
        });
    }
}

/// What is wrong with a value, and what would not be.
pub(crate) struct Rejection {
    pub(crate) kind: ProblemKind,
    pub(crate) message: String,
    pub(crate) accepted: String,
    /// A whole line of a `.env` file.
    pub(crate) example: String,
}

impl Rejection {
    pub(crate) fn value(
        message: impl Into<String>,
        accepted: impl Into<String>,
        example: impl Into<String>,
    ) -> Self {
        Self {
            kind: ProblemKind::InvalidValue,
            message: message.into(),
            accepted: accepted.into(),
            example: example.into(),
        }
    }

    pub(crate) fn of_kind(mut self, kind: ProblemKind) -> Self {
        self.kind = kind;
        self
    }

    pub(crate) fn at(self, variable: &str, place: &Place, got: Option<String>) -> Problem {
        Problem {
            variable: variable.to_owned(),
            place: place.clone(),
            kind: self.kind,
            message: self.message,
            got,
            accepted: self.accepted,
            example: self.example,
        }
    }
}

/// The value as it may be printed: short, on one line, and without anything that could be a secret.
pub(crate) fn printable(variable: &Variable, value: &str) -> String {
    const LONGEST: usize = 100;
    if variable.is_secret() || may_hold_secret(variable, value) {
        return HIDDEN.to_owned();
    }
    let mut text: String = value.chars().take(LONGEST).collect();
    if text.len() < value.len() {
        text.push('…');
    }
    text.chars()
        .flat_map(|character| match character {
            '"' | '\'' | '\\' => vec![character],
            other => other.escape_debug().collect(),
        })
        .collect()
}

/// What was found, for a problem; nothing where it must not be shown.
pub(crate) fn quoted(variable: &Variable, value: &str) -> Option<String> {
    match printable(variable, value) {
        hidden if hidden == HIDDEN => None,
        shown => Some(format!("\"{shown}\"")),
    }
}

/// People paste URLs with passwords, or whole lines, where a host or a number is expected.
fn may_hold_secret(variable: &Variable, value: &str) -> bool {
    let names_people = matches!(
        variable.name,
        "LOCK_OWNER" | "LOCK_KEY_PREFIX" | "REDIS_USERNAME" | "REDIS_CLIENT_NAME"
    );
    let has_equals = value.contains('=') && variable.name != "REDIS_ADDRESS_MAP";
    value.contains("://") || (!names_people && (value.contains('@') || has_equals))
}
