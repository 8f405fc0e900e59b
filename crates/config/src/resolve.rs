//! One value for each variable, out of several sources and several names.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

use crate::error::ProblemKind;
use crate::layer::{Entry, Layer};
use crate::notes::{Notes, Rejection};
use crate::place::Place;
use crate::variables::{self, Shown, VARIABLES, Variable};

/// The value that counts. Not `Debug`: it may be a secret.
pub(crate) struct Found {
    pub(crate) variable: &'static Variable,
    /// The name under which it was set: canonical, an alias, or `…_FILE`.
    pub(crate) written: String,
    pub(crate) place: Place,
    pub(crate) value: String,
}

/// By canonical name.
pub(crate) type Resolved = BTreeMap<&'static str, Found>;

/// Takes each variable from the first source that sets it, and there from the first of its names.
pub(crate) fn resolve(layers: &[Layer], notes: &mut Notes) -> Resolved {
    let mut resolved = Resolved::new();
    for variable in VARIABLES {
        for layer in layers {
            if let Some(found) = find_in(layer, variable, notes) {
                resolved.insert(variable.name, found);
                break;
            }
        }
    }
    resolved
}

/// The value of one variable, before the `.env` file is even looked for.
pub(crate) fn peek<'a>(layers: &'a [Layer], name: &str) -> Option<&'a Entry> {
    layers
        .iter()
        .flat_map(|layer| &layer.entries)
        .find(|entry| entry.name == name && !is_unset(entry))
}

/// An empty value counts as unset, but code that asks for no prefix means it.
fn is_unset(entry: &Entry) -> bool {
    let is_no_prefix = entry.place == Place::Builder && entry.name == "LOCK_KEY_PREFIX";
    entry.value.trim().is_empty() && !is_no_prefix
}

fn find_in(layer: &Layer, variable: &'static Variable, notes: &mut Notes) -> Option<Found> {
    let mut values: Vec<(usize, &Entry)> = Vec::new();
    let mut files: Vec<(usize, &Entry)> = Vec::new();
    for entry in &layer.entries {
        let Some(known) = variables::find(&entry.name) else {
            continue;
        };
        if known.variable.name != variable.name || is_unset(entry) {
            continue;
        }
        if is_service_link(entry, variable, notes) {
            continue;
        }
        let list = if known.is_file {
            &mut files
        } else {
            &mut values
        };
        list.push((known.rank, entry));
    }
    values.sort_by_key(|(rank, _)| *rank);
    files.sort_by_key(|(rank, _)| *rank);
    if let (Some((_, value)), Some((_, file))) = (values.first(), files.first()) {
        notes
            .problems
            .push(set_twice(variable, &value.name).at(&file.name, &file.place, None));
    }
    warn_of_differing_aliases(&values, notes);
    warn_of_differing_aliases(&files, notes);
    match (values.first(), files.first()) {
        (Some((_, entry)), _) => Some(taken(entry, variable, notes)),
        (None, Some((_, entry))) => read_secret(entry, variable, notes),
        (None, None) => None,
    }
}

fn taken(entry: &Entry, variable: &'static Variable, notes: &mut Notes) -> Found {
    let trimmed = entry.value.trim();
    let value = if variable.shown == Shown::Nothing {
        if trimmed.len() != entry.value.len() {
            let message = "begins or ends with a blank, which is sent as part of the secret";
            notes.warn(&entry.name, &entry.place, message);
        }
        entry.value.clone()
    } else {
        trimmed.to_owned()
    };
    Found {
        variable,
        written: entry.name.clone(),
        place: entry.place.clone(),
        value,
    }
}

/// Kubernetes sets `REDIS_PORT=tcp://10.0.0.1:6379` for a service named `redis`.
fn is_service_link(entry: &Entry, variable: &Variable, notes: &mut Notes) -> bool {
    let injected = variable.name == "REDIS_PORT" && entry.value.trim().starts_with("tcp://");
    if injected {
        let message = "holds a tcp:// address as Kubernetes sets it for a service named redis; it is ignored (enableServiceLinks: false stops it)";
        notes.warn(&entry.name, &entry.place, message);
    }
    injected
}

fn warn_of_differing_aliases(values: &[(usize, &Entry)], notes: &mut Notes) {
    let Some(((_, counts), others)) = values.split_first() else {
        return;
    };
    for (_, other) in others {
        if other.value.trim() != counts.value.trim() {
            let message = format!(
                "differs from {} ({}), which is another name for the same and counts",
                counts.name, counts.place
            );
            notes.warn(&other.name, &other.place, message);
        }
    }
}

fn set_twice(variable: &Variable, value_name: &str) -> Rejection {
    Rejection::value(
        format!("is set beside {value_name}, so that the secret has two sources"),
        "one of the two",
        format!("{}_FILE=/run/secrets/redis_password", variable.name),
    )
    .of_kind(ProblemKind::Collision)
}

fn read_secret(entry: &Entry, variable: &'static Variable, notes: &mut Notes) -> Option<Found> {
    // The path is not repeated: someone may have put the secret itself here.
    let mut reject = |reason: String| {
        let rejection = Rejection::value(
            format!("names a file that {reason}"),
            "the path of a readable file of at most 64 KiB that holds the secret and nothing else",
            format!("{}=/run/secrets/redis_password", entry.name),
        );
        let rejection = rejection.of_kind(ProblemKind::UnreadableFile);
        notes
            .problems
            .push(rejection.at(&entry.name, &entry.place, None));
    };
    let text = match read_small_file(entry.value.trim()) {
        Ok(text) => text,
        Err(reason) => {
            reject(reason);
            return None;
        }
    };
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.trim().is_empty() {
        reject("is empty".to_owned());
        return None;
    }
    let value = if variable.shown == Shown::Nothing {
        line
    } else {
        line.trim()
    };
    Some(Found {
        variable,
        written: entry.name.clone(),
        place: entry.place.clone(),
        value: value.to_owned(),
    })
}

fn read_small_file(path: &str) -> Result<String, String> {
    const LARGEST: u64 = 64 * 1024;
    let cannot = |error: std::io::Error| format!("cannot be read ({})", error.kind());
    // Opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > LARGEST {
        return Err("is larger than 64 KiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}
