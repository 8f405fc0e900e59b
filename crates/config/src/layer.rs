//! The sources, each a list of names and values that know where they stand.

use std::collections::HashMap;
use std::ffi::OsString;

use crate::diagnostics::{Diagnostics, Rejection};
use crate::error::ProblemKind;
use crate::mention::{Mention, SERVER_VARIABLES};
use crate::source::Source;
use crate::suggestion;
use crate::variables::{self, Variable};

/// One assignment. Not `Debug`: the value may be a secret.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) source: Source,
}

impl Entry {
    /// Whether setting this shows that somebody configures locking. An empty value does so only where it
    /// should name a server: it is often a reference to a variable that is missing.
    fn is_mention(&self, variable: &Variable) -> bool {
        let value = self.value.trim();
        match variable.name {
            "LOCK_ENV_FILE" => !value.is_empty() && !value.eq_ignore_ascii_case("none"),
            // Kubernetes sets it for a service of this name.
            "REDIS_PORT" if value.starts_with("tcp://") => false,
            name => !value.is_empty() || SERVER_VARIABLES.contains(&name),
        }
    }
}

/// One source: at most one entry for each name.
#[derive(Default)]
pub(crate) struct Layer {
    pub(crate) entries: Vec<Entry>,
}

impl Layer {
    /// Pairs of which the last counts where a name comes twice.
    pub(crate) fn from_pairs(
        pairs: impl IntoIterator<Item = (String, String)>,
        source: &Source,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let entries = pairs.into_iter().map(|(name, value)| Entry {
            name,
            value,
            source: source.clone(),
        });
        Self::last_of_each(entries, diagnostics)
    }

    /// The environment of a process. Only a variable of ours that is not UTF-8 is a problem.
    pub(crate) fn from_environment(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut pairs = Vec::new();
        for (name, value) in variables {
            // A name of ours is ASCII; another may still look like one.
            let name = name.to_string_lossy().into_owned();
            match value.into_string() {
                Ok(value) => pairs.push((name, value)),
                Err(_) if variables::find(&name).is_some() => {
                    diagnostics.refuse(&name, &Source::Environment, not_unicode(&name));
                }
                Err(value) => note_unknown(
                    &name,
                    &value.to_string_lossy(),
                    &Source::Environment,
                    diagnostics,
                ),
            }
        }
        Self::from_pairs(pairs, &Source::Environment, diagnostics)
    }

    /// Keeps the last entry of each name that is ours, and hints at names that are almost ours.
    pub(crate) fn last_of_each(
        entries: impl Iterator<Item = Entry>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut kept: Vec<Entry> = Vec::new();
        let mut positions: HashMap<String, usize> = HashMap::new();
        for entry in entries {
            let Some(known) = variables::find(&entry.name) else {
                note_unknown(&entry.name, &entry.value, &entry.source, diagnostics);
                continue;
            };
            if entry.is_mention(known.variable) {
                let mention = Mention::of(known.variable, &entry.name, &entry.source);
                diagnostics.mentions.push(mention);
            }
            match positions.get(&entry.name) {
                Some(&position) => {
                    warn_of_duplicate(&kept[position], &entry, diagnostics);
                    kept[position] = entry;
                }
                None => {
                    positions.insert(entry.name.clone(), kept.len());
                    kept.push(entry);
                }
            }
        }
        Self { entries: kept }
    }
}

/// Notes that a name of ours stands there without a value, as in `export NAME`.
pub(crate) fn note_named(name: &str, source: &Source, diagnostics: &mut Diagnostics) {
    let entry = Entry {
        name: name.to_owned(),
        value: String::new(),
        source: source.clone(),
    };
    if let Some(known) = variables::find(name).filter(|known| entry.is_mention(known.variable)) {
        let mention = Mention::of(known.variable, name, source);
        diagnostics.mentions.push(mention);
    }
}

/// Tells of a name that is not read but looks as if it should be.
pub(crate) fn note_unknown(
    name: &str,
    value: &str,
    source: &Source,
    diagnostics: &mut Diagnostics,
) {
    let Some(found) = suggestion::lookalike(name, value) else {
        return;
    };
    let message = match &found.suggestion {
        Some(known) => format!("is not a variable that is read; did you mean {known}?"),
        None => {
            "is not a variable that is read; docs/configuration.md lists those that are".to_owned()
        }
    };
    let name = escaped(name);
    diagnostics.warn(&name, source, message);
    if found.is_configuration {
        let mention = Mention::lookalike(&name, found.suggestion.as_deref(), source);
        diagnostics.mentions.push(mention);
    }
}

/// A name as it may be printed: an environment can hold any characters.
fn escaped(name: &str) -> String {
    const LONGEST: usize = 100;
    let escaped = name.chars().flat_map(char::escape_debug);
    escaped.take(LONGEST).collect()
}

fn warn_of_duplicate(former: &Entry, latter: &Entry, diagnostics: &mut Diagnostics) {
    // Only a file has lines in which a reader can miss one of the two.
    if matches!(latter.source, Source::EnvFile { .. }) {
        let message = format!(
            "is set twice; this line counts, the one at {} does not",
            former.source
        );
        diagnostics.warn(&latter.name, &latter.source, message);
    }
}

fn not_unicode(name: &str) -> Rejection {
    Rejection::value(
        "is not UTF-8",
        "text in UTF-8",
        format!("{name}=<the value in UTF-8>"),
    )
    .of_kind(ProblemKind::NotUnicode)
}
