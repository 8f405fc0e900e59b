//! One value for each variable, out of several sources and several names.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

use crate::diagnostics::{self, Diagnostics, Rejection};
use crate::error::ProblemKind;
use crate::layer::{Entry, Layer};
use crate::leftovers;
use crate::source::Source;
use crate::variables::{self, Shown, VARIABLES, Variable};

/// The value that counts. Not `Debug`: it may be a secret.
pub(crate) struct Found {
    pub(crate) variable: &'static Variable,
    /// The name under which it was set: canonical, an alias, or `…_FILE`.
    pub(crate) written: String,
    pub(crate) source: Source,
    pub(crate) value: String,
}

/// By canonical name.
pub(crate) type Resolved = BTreeMap<&'static str, Found>;

/// Takes each variable from the first source that sets it, and there from the first of its names.
pub(crate) fn resolve(layers: &[Layer], diagnostics: &mut Diagnostics) -> Resolved {
    let mut resolved = Resolved::new();
    for variable in VARIABLES {
        for layer in layers {
            if let Some(found) = find_in(layer, variable, diagnostics) {
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
    let is_no_prefix = entry.source == Source::Builder && entry.name == "LOCK_KEY_PREFIX";
    entry.value.trim().is_empty() && !is_no_prefix
}

fn find_in(
    layer: &Layer,
    variable: &'static Variable,
    diagnostics: &mut Diagnostics,
) -> Option<Found> {
    let mut values: Vec<(usize, &Entry)> = Vec::new();
    let mut files: Vec<(usize, &Entry)> = Vec::new();
    for entry in &layer.entries {
        let Some(known) = variables::find(&entry.name) else {
            continue;
        };
        if known.variable.name != variable.name || is_unset(entry) {
            continue;
        }
        if is_service_link(entry, variable, diagnostics) {
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
        diagnostics.refuse(&file.name, &file.source, set_twice(variable, &value.name));
    }
    warn_of_differing_aliases(&values, diagnostics);
    warn_of_differing_aliases(&files, diagnostics);
    match (values.first(), files.first()) {
        (Some((_, entry)), _) => taken(entry, variable, diagnostics),
        (None, Some((_, entry))) => read_secret(entry, variable, diagnostics),
        (None, None) => None,
    }
}

fn taken(
    entry: &Entry,
    variable: &'static Variable,
    diagnostics: &mut Diagnostics,
) -> Option<Found> {
    let trimmed = entry.value.trim();
    let value = if variable.shown == Shown::Nothing {
        leftovers::warn_of_secret(entry, diagnostics);
        entry.value.clone()
    } else {
        if let Some(rejection) = leftovers::rejection(entry) {
            let got = diagnostics::quoted(variable, &entry.value);
            diagnostics.refuse_with(&entry.name, &entry.source, rejection, got);
            return None;
        }
        leftovers::warn_of_line_end(entry, diagnostics);
        trimmed.to_owned()
    };
    Some(Found {
        variable,
        written: entry.name.clone(),
        source: entry.source.clone(),
        value,
    })
}

/// Kubernetes sets `REDIS_PORT=tcp://10.0.0.1:6379` for a service named `redis`.
fn is_service_link(entry: &Entry, variable: &Variable, diagnostics: &mut Diagnostics) -> bool {
    let injected = variable.name == "REDIS_PORT" && entry.value.trim().starts_with("tcp://");
    if injected {
        let message = "holds a tcp:// address as Kubernetes sets it for a service named redis; it is ignored (enableServiceLinks: false stops it)";
        diagnostics.warn(&entry.name, &entry.source, message);
    }
    injected
}

fn warn_of_differing_aliases(values: &[(usize, &Entry)], diagnostics: &mut Diagnostics) {
    let Some(((_, counts), others)) = values.split_first() else {
        return;
    };
    for (_, other) in others {
        if other.value.trim() != counts.value.trim() {
            let message = format!(
                "differs from {} ({}), which is another name for the same and counts",
                counts.name, counts.source
            );
            diagnostics.warn(&other.name, &other.source, message);
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

fn read_secret(
    entry: &Entry,
    variable: &'static Variable,
    diagnostics: &mut Diagnostics,
) -> Option<Found> {
    // The path is not repeated: someone may have put the secret itself here.
    let mut reject = |reason: String| {
        let rejection = Rejection::value(
            format!("names a file that {reason}"),
            "the path of a readable file of at most 64 KiB that holds the secret and nothing else; Kubernetes: mount the Secret as a volume; compose: `secrets:`",
            format!("{}=/run/secrets/redis_password", entry.name),
        );
        let rejection = rejection.of_kind(ProblemKind::UnreadableFile);
        diagnostics.refuse(&entry.name, &entry.source, rejection);
    };
    if diagnostics::is_pem(&entry.value) {
        let rejection = Rejection::value(
            "holds the secret itself instead of the path of a file that holds it",
            "the path of a readable file",
            format!("{}=/run/secrets/redis_password", entry.name),
        );
        diagnostics.refuse(&entry.name, &entry.source, rejection);
        return None;
    }
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
        source: entry.source.clone(),
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
