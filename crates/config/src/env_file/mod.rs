//! The `.env` file: found, read, and turned into entries that know their lines.

mod scan;
mod stray;
mod value;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::diagnostics::{Diagnostics, Rejection};
use crate::error::ProblemKind;
use crate::layer::{self, Entry, Layer};
use crate::mention::Mention;
use crate::source::Source;
use crate::variables;
use scan::Rest;
use value::Fault;

const LARGEST: u64 = 1024 * 1024;

/// Reads the file at `path`, which must exist if somebody named it: `named_by` is where.
pub(crate) fn read(path: &Path, named_by: Option<&Source>, diagnostics: &mut Diagnostics) -> Layer {
    let file = path.display().to_string();
    let whole = Source::EnvFile {
        file: file.clone(),
        line: 0,
    };
    let source = named_by.unwrap_or(&whole);
    match read_text(path) {
        Ok(text) => parse(&text, &file, diagnostics),
        Err(Unreadable::Missing) if named_by.is_none() => Layer::default(),
        // A Python virtual environment is often kept in a directory of this name.
        Err(reason @ (Unreadable::NotAFile | Unreadable::Dangling)) if named_by.is_none() => {
            let message = match reason {
                Unreadable::Dangling => {
                    "is a symbolic link to a file that does not exist, and is not read"
                }
                _ => {
                    "is a directory or a pipe and is not read; Docker makes a directory of a file that it should mount and does not find"
                }
            };
            diagnostics.warn("LOCK_ENV_FILE", &whole, message);
            diagnostics.mentions.push(Mention::unreadable(&whole));
            Layer::default()
        }
        Err(reason) => {
            let rejection = Rejection::value(
                format!("names a file that {}", reason.text()),
                "a regular file in UTF-8 of at most 1 MiB (PowerShell: Set-Content -Encoding utf8), or none",
                "LOCK_ENV_FILE=none",
            );
            let rejection = rejection.of_kind(ProblemKind::UnreadableFile);
            let got = Some(format!("{file:?}"));
            diagnostics.refuse_with("LOCK_ENV_FILE", source, rejection, got);
            Layer::default()
        }
    }
}

/// Turns the text of a file into entries; `file` is how the file is called in messages.
pub(crate) fn parse(text: &str, file: &str, diagnostics: &mut Diagnostics) -> Layer {
    let source = |line: usize| Source::EnvFile {
        file: file.to_owned(),
        line,
    };
    let mut entries = Vec::new();
    for line in scan::lines(text) {
        let source = source(line.number);
        if variables::find(line.name).is_none() {
            foreign_line(&line, &source, diagnostics);
            continue;
        }
        match value::read(&line) {
            Ok(None) => layer::note_named(line.name, &source, diagnostics),
            Ok(Some(value)) => {
                value::warn_of_other_readers(&line, &source, diagnostics);
                entries.push(Entry {
                    name: line.name.to_owned(),
                    value,
                    source,
                });
            }
            Err(fault) => diagnostics.refuse(line.name, &source, fault.rejection(line.name)),
        }
    }
    if let Some(entry) = entries.iter().find(|entry| entry.name == "LOCK_ENV_FILE") {
        let message = "is without effect in the file itself; set it in the environment";
        diagnostics.warn(&entry.name, &entry.source, message);
    }
    entries.retain(|entry| entry.name != "LOCK_ENV_FILE");
    Layer::last_of_each(entries.into_iter(), diagnostics)
}

/// A line that does not begin with a name of ours.
fn foreign_line(line: &scan::Line<'_>, source: &Source, diagnostics: &mut Diagnostics) {
    for name in stray::names(line) {
        match variables::find(name) {
            Some(_) => diagnostics.refuse(name, source, Fault::Stray.rejection(name)),
            None => layer::note_unknown(name, "", source, diagnostics),
        }
    }
    let value = match line.rest {
        Rest::Unclosed => {
            let message = "has a value with an opening quote and no closing one; the lines after it are read on their own";
            diagnostics.warn(line.name, source, message);
            ""
        }
        Rest::Unquoted(value) => value.trim(),
        _ => "",
    };
    layer::note_unknown(line.name, value, source, diagnostics);
}

enum Unreadable {
    Missing,
    /// A symbolic link to a file that does not exist.
    Dangling,
    NotAFile,
    TooLarge,
    Utf16,
    Nul,
    /// One line, for every other reader: line ends of an old Mac.
    NoLineFeed,
    Other(ErrorKind),
}

impl Unreadable {
    fn text(&self) -> String {
        match self {
            Self::Missing => "does not exist".to_owned(),
            Self::Dangling => "is a symbolic link to a file that does not exist".to_owned(),
            Self::NotAFile => "is not a regular file".to_owned(),
            Self::TooLarge => "is larger than 1 MiB".to_owned(),
            Self::Utf16 => "is UTF-16".to_owned(),
            Self::Nul => "holds NUL bytes, as UTF-16 does".to_owned(),
            Self::NoLineFeed => "ends its lines with carriage returns alone".to_owned(),
            Self::Other(kind) => format!("cannot be read ({kind})"),
        }
    }
}

fn read_text(path: &Path) -> Result<String, Unreadable> {
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound if path.is_symlink() => Unreadable::Dangling,
        ErrorKind::NotFound => Unreadable::Missing,
        kind => Unreadable::Other(kind),
    };
    // Opening a pipe would wait for its writer, and a directory opens without complaint.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(Unreadable::NotAFile);
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Unreadable::TooLarge);
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Unreadable::Utf16);
    }
    if bytes.contains(&0) {
        return Err(Unreadable::Nul);
    }
    let lines = bytes.trim_ascii_end();
    if lines.contains(&b'\r') && !lines.contains(&b'\n') {
        return Err(Unreadable::NoLineFeed);
    }
    // A comment in another encoding is no reason to refuse; a value of ours with such a byte is.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::diagnostics::Diagnostics;

    /// Every text of five of these characters behind an assignment: none panics, and each is either read
    /// whole or told of.
    #[test]
    fn no_combination_of_special_characters_is_lost() {
        let alphabet = ['a', '\'', '"', '\n', '\\', '#', '$', ' ', 'é'];
        for number in 0..alphabet.len().pow(5) {
            let characters = (0..5).scan(number, |rest, _| {
                let character = alphabet[*rest % alphabet.len()];
                *rest /= alphabet.len();
                Some(character)
            });
            let value: String = characters.collect();
            let mut diagnostics = Diagnostics::default();
            let text = format!("REDIS_PASSWORD={value}\nREDIS_HOST=h\n");
            let layer = parse(&text, ".env", &mut diagnostics);
            let told = layer.entries.len() + diagnostics.problems.len();
            assert_eq!(told, 2, "{text:?}");
        }
    }
}
