//! Logical lines: an assignment each, which spans several lines where a quoted value does.

use crate::variables;

/// One assignment as it is written.
pub(super) struct Line<'a> {
    /// The line on which it begins, counted from 1.
    pub(super) number: usize,
    pub(super) is_export: bool,
    pub(super) name: &'a str,
    pub(super) rest: Rest<'a>,
    /// The whole logical line.
    pub(super) text: &'a str,
}

/// What follows the name.
#[derive(Clone, Copy)]
pub(super) enum Rest<'a> {
    /// Nothing: `NAME`.
    Nothing,
    /// Something else than `=`.
    Other(&'a str),
    /// A value that begins with no quote.
    Unquoted(&'a str),
    /// A value that begins with a quote and has its end: what stands between the quotes, and after them.
    Quoted {
        quote: char,
        inner: &'a str,
        after: &'a str,
    },
    /// A value that begins with a quote and has no end, or none before another assignment of ours.
    Unclosed,
}

/// Splits a text into logical lines; comments and empty lines are left out. A line that does not begin with a
/// name has an empty one.
pub(super) fn lines(text: &str) -> Vec<Line<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = Vec::new();
    let mut start = 0;
    let mut number = 1;
    while start < text.len() {
        let end = line_end(text, start);
        let mut next = end;
        if let Some((line, length)) = read_line(&text[start..], end - start, number) {
            next = start + length;
            lines.push(line);
        }
        // Whatever a quoted value left of its last line is part of that line.
        let next = line_end(text, next.max(end));
        number += text[start..next].matches('\n').count() + 1;
        start = next + 1;
    }
    lines
}

/// The position of the line feed that ends the line, or of the text's end.
fn line_end(text: &str, from: usize) -> usize {
    text[from..]
        .find('\n')
        .map_or(text.len(), |offset| from + offset)
}

/// Reads the logical line at the beginning of `text`, whose first physical line has `first` bytes.
fn read_line(text: &str, first: usize, number: usize) -> Option<(Line<'_>, usize)> {
    let physical = text[..first].trim_end_matches('\r');
    let trimmed = physical.trim_start();
    if trimmed.is_empty() || trimmed.starts_with('#') {
        return None;
    }
    let (is_export, name, after_name) =
        split_name(physical).unwrap_or((false, &trimmed[..0], trimmed));
    let line = |rest, length: usize| {
        let line = Line {
            number,
            is_export,
            name,
            rest,
            text: &text[..length],
        };
        Some((line, length))
    };
    let length = physical.len();
    let assigned = after_name.strip_prefix('=').filter(|_| !name.is_empty());
    let Some(assigned) = assigned else {
        let rest = match after_name.trim() {
            "" => Rest::Nothing,
            other => Rest::Other(other),
        };
        return line(rest, length);
    };
    let value = assigned.trim_start();
    let Some(quote @ ('"' | '\'')) = value.chars().next() else {
        return line(Rest::Unquoted(assigned), length);
    };
    let inner_start = length - value.len() + 1;
    match closing_quote(&text[inner_start..], quote) {
        Some(offset) if !swallows_ours(&text[inner_start..inner_start + offset]) => {
            let closing = inner_start + offset;
            let end = line_end(text, closing);
            let rest = Rest::Quoted {
                quote,
                inner: &text[inner_start..closing],
                after: text[closing + 1..end].trim_end_matches('\r'),
            };
            line(rest, text[..end].trim_end_matches('\r').len())
        }
        _ => line(Rest::Unclosed, length),
    }
}

/// Splits off `export` and the name. `None` for a comment, an empty line, or a line that names nothing.
pub(super) fn split_name(line: &str) -> Option<(bool, &str, &str)> {
    let line = line.trim_start();
    let (is_export, line) = match line.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => (true, rest.trim_start()),
        _ => (false, line),
    };
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let length = line.find(|c| !is_name(c)).unwrap_or(line.len());
    let (name, rest) = line.split_at(length);
    (!name.is_empty()).then(|| (is_export, name, rest.trim_start_matches([' ', '\t'])))
}

/// Drops a comment, which begins with a `#` after a blank.
pub(super) fn without_comment(raw: &str) -> &str {
    let mut blank_before = false;
    for (position, character) in raw.char_indices() {
        if character == '#' && blank_before {
            return raw[..position].trim();
        }
        blank_before = character.is_whitespace();
    }
    raw.trim()
}

/// The position of the quote that ends a value; a backslash hides a double quote, but not a single one.
fn closing_quote(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (position, character) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if character == '\\' && quote == '"' {
            escaped = true;
        } else if character == quote {
            return Some(position);
        }
    }
    None
}

/// Whether a value runs over a line that assigns a variable of ours: its end quote is then missing.
fn swallows_ours(inner: &str) -> bool {
    inner.split('\n').skip(1).any(|line| {
        split_name(line)
            .is_some_and(|(_, name, rest)| rest.starts_with('=') && variables::find(name).is_some())
    })
}
