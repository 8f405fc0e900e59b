//! Problems and warnings that are collected while the sources are read.

use std::collections::BTreeSet;

use crate::error::{Problem, ProblemKind};
use crate::mention::Mention;
use crate::secret::HIDDEN;
use crate::source::Source;
use crate::variables::{self, Variable};
use crate::warning::Warning;

#[derive(Default)]
pub(crate) struct Diagnostics {
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Warning>,
    /// Canonical names whose value was refused before it could be read.
    pub(crate) refused: BTreeSet<&'static str>,
    /// What was set at all, read or not.
    pub(crate) mentions: Vec<Mention>,
}

impl Diagnostics {
    pub(crate) fn warn(&mut self, variable: &str, source: &Source, message: impl Into<String>) {
        self.warnings.push(Warning {
            variable: variable.to_owned(),
            source: source.clone(),
            message: message.into(),
        });
    }

    /// Refuses the value of a variable of ours before it is read.
    pub(crate) fn refuse(&mut self, name: &str, source: &Source, rejection: Rejection) {
        self.refuse_with(name, source, rejection, None);
    }

    /// As [`Diagnostics::refuse`], and shows what was found.
    pub(crate) fn refuse_with(
        &mut self,
        name: &str,
        source: &Source,
        rejection: Rejection,
        got: Option<String>,
    ) {
        if let Some(known) = variables::find(name) {
            self.refused.insert(known.variable.name);
            self.mentions
                .push(Mention::of(known.variable, name, source));
        }
        self.problems.push(rejection.at(name, source, got));
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

    pub(crate) fn at(self, variable: &str, source: &Source, got: Option<String>) -> Problem {
        Problem {
            variable: variable.to_owned(),
            source: source.clone(),
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

/// People paste URLs with passwords, keys, or whole lines where a host, a path or a number is expected.
fn may_hold_secret(variable: &Variable, value: &str) -> bool {
    let names_people = matches!(
        variable.name,
        "LOCK_OWNER" | "LOCK_KEY_PREFIX" | "REDIS_USERNAME" | "REDIS_CLIENT_NAME"
    );
    let has_equals = value.contains('=') && variable.name != "REDIS_ADDRESS_MAP";
    value.contains("://")
        || is_pem(value)
        || (!names_people && (value.contains('@') || has_equals || value.contains('\n')))
}

/// Whether a text is a certificate or a key itself: PEM, PEM in base64, or what stands between the lines of PEM.
pub(crate) fn is_pem(value: &str) -> bool {
    const BASE64_OF_FIVE_DASHES: &str = "LS0tLS1";
    let value = value.trim();
    value.contains("-----") || value.starts_with(BASE64_OF_FIVE_DASHES) || is_der(value)
}

/// Whether a text is DER in base64. It begins with a sequence, whose first byte makes an M.
fn is_der(value: &str) -> bool {
    // The shortest keys there are have 64 characters.
    const SHORTEST: usize = 60;
    let is_base64 = |byte: u8| {
        byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() || b"+/=".contains(&byte)
    };
    value.len() >= SHORTEST && value.starts_with('M') && value.bytes().all(is_base64)
}
