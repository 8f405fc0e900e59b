//! The sources, each a list of names and values that know where they stand.

use std::collections::HashMap;
use std::ffi::OsString;

use crate::error::ProblemKind;
use crate::notes::{Notes, Rejection};
use crate::place::Place;
use crate::suggest;
use crate::variables;

/// One assignment. Not `Debug`: the value may be a secret.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) place: Place,
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
        place: &Place,
        notes: &mut Notes,
    ) -> Self {
        let entries = pairs.into_iter().map(|(name, value)| Entry {
            name,
            value,
            place: place.clone(),
        });
        Self::last_of_each(entries, notes)
    }

    /// The environment of a process. Only a variable of ours that is not UTF-8 is a problem.
    pub(crate) fn from_environment(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        notes: &mut Notes,
    ) -> Self {
        let mut pairs = Vec::new();
        for (name, value) in variables {
            let Ok(name) = name.into_string() else {
                continue;
            };
            match value.into_string() {
                Ok(value) => pairs.push((name, value)),
                Err(_) if variables::find(&name).is_some() => {
                    notes
                        .problems
                        .push(not_unicode(&name).at(&name, &Place::Environment, None));
                }
                Err(_) => {}
            }
        }
        let layer = Self::from_pairs(pairs, &Place::Environment, notes);
        layer.warn_of_container_files(notes);
        layer
    }

    /// Keeps the last entry of each name that is ours, and hints at names that are almost ours.
    pub(crate) fn last_of_each(entries: impl Iterator<Item = Entry>, notes: &mut Notes) -> Self {
        let mut kept: Vec<Entry> = Vec::new();
        let mut positions: HashMap<String, usize> = HashMap::new();
        for entry in entries {
            if variables::find(&entry.name).is_none() {
                warn_of_slip(&entry.name, &entry.place, notes);
                continue;
            }
            match positions.get(&entry.name) {
                Some(&position) => {
                    warn_of_duplicate(&kept[position], &entry, notes);
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

    /// `docker run --env-file` keeps quotes and carriage returns as part of the value.
    fn warn_of_container_files(&self, notes: &mut Notes) {
        for entry in &self.entries {
            let value = entry.value.trim();
            let quoted = ['"', '\'']
                .iter()
                .any(|&q| value.len() > 1 && value.starts_with(q) && value.ends_with(q));
            let message = if quoted {
                "begins and ends with a quote, which is taken as part of the value; `docker run --env-file` does not remove quotes as a shell does"
            } else if entry.value.ends_with('\r') {
                "ends with a carriage return; the file it came from has Windows line ends, which `docker run --env-file` does not remove"
            } else {
                continue;
            };
            notes.warn(&entry.name, &entry.place, message);
        }
    }
}

pub(crate) fn warn_of_slip(name: &str, place: &Place, notes: &mut Notes) {
    if let Some(known) = suggest::meant(name) {
        let message = format!("is not a variable that is read; did you mean {known}?");
        notes.warn(name, place, message);
    }
}

fn warn_of_duplicate(former: &Entry, latter: &Entry, notes: &mut Notes) {
    // Only a file has lines in which a reader can miss one of the two.
    if matches!(latter.place, Place::EnvFile { .. }) {
        let message = format!(
            "is set twice; this line counts, the one at {} does not",
            former.place
        );
        notes.warn(&latter.name, &latter.place, message);
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
