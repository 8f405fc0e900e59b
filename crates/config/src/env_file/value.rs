//! The value of one line, where every program that reads the file reads the same.
//!
//! `dotenvy` drops `$word` from unquoted and double-quoted values in silence, empties a value that begins
//! with `#`, and takes everything up to the next quote for one value. Shells, Compose and Python differ
//! again. So a value with such characters must stand in single quotes, and is refused otherwise.

use super::scan::{Line, Rest, without_comment};
use super::stray;
use crate::diagnostics::{Diagnostics, Rejection};
use crate::error::ProblemKind;
use crate::source::Source;

/// Why a line is refused. The line itself is never repeated: it may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    NoEquals,
    Colon,
    Unclosed,
    TextAfterQuote,
    Dollar,
    Reference,
    Backslash,
    LeadingHash,
    QuoteInside,
    TwoAssignments,
    Stray,
    NotUnicode,
    Unreadable,
}

/// Reads the value; `None` for `export NAME`, which assigns nothing.
pub(super) fn read(line: &Line<'_>) -> Result<Option<String>, Fault> {
    if line.text.contains('\u{fffd}') {
        return Err(Fault::NotUnicode);
    }
    match line.rest {
        Rest::Nothing if line.is_export => Ok(None),
        Rest::Nothing => Err(Fault::NoEquals),
        Rest::Other(rest) if rest.starts_with(':') => Err(Fault::Colon),
        Rest::Other(_) => Err(Fault::NoEquals),
        Rest::Unclosed => Err(Fault::Unclosed),
        Rest::Quoted {
            quote,
            inner,
            after,
        } => {
            check_after_quote(after)?;
            if quote == '"' {
                check_expansion(inner)?;
            }
            let quoted = format!("{}={quote}{inner}{quote}", line.name);
            parse(&quoted).map(Some)
        }
        Rest::Unquoted(raw) => read_unquoted(line.name, raw).map(Some),
    }
}

fn read_unquoted(name: &str, raw: &str) -> Result<String, Fault> {
    let value = without_comment(raw);
    if value.is_empty() {
        return Ok(String::new());
    }
    if value.starts_with('#') {
        return Err(Fault::LeadingHash);
    }
    if value.contains(['"', '\'']) {
        return Err(Fault::QuoteInside);
    }
    check_expansion(value)?;
    if stray::assignments(value).next().is_some() {
        return Err(Fault::TwoAssignments);
    }
    // `dotenvy` refuses blanks in an unquoted value, as in a list written `a:1, b:2`.
    parse(&format!("{name}='{value}'"))
}

/// Hands one line to `dotenvy`, whose errors would repeat the line.
fn parse(line: &str) -> Result<String, Fault> {
    match dotenvy::from_read_iter(line.as_bytes()).next() {
        Some(Ok((_, value))) => Ok(value),
        _ => Err(Fault::Unreadable),
    }
}

fn check_expansion(value: &str) -> Result<(), Fault> {
    if value.contains("${") {
        return Err(Fault::Reference);
    }
    if value.contains('$') {
        return Err(Fault::Dollar);
    }
    if value.contains('\\') {
        return Err(Fault::Backslash);
    }
    Ok(())
}

fn check_after_quote(after: &str) -> Result<(), Fault> {
    let rest = after.trim_start();
    let is_comment = rest.starts_with('#') && rest.len() < after.len();
    if rest.is_empty() || is_comment {
        Ok(())
    } else {
        Err(Fault::TextAfterQuote)
    }
}

/// `python-dotenv` replaces `${NAME}` even in single quotes.
pub(super) fn warn_of_other_readers(
    line: &Line<'_>,
    source: &Source,
    diagnostics: &mut Diagnostics,
) {
    if let Rest::Quoted { inner, .. } = line.rest
        && inner.contains("${")
    {
        let message = "contains ${, which python-dotenv replaces even in single quotes; programs that share this file may read another value";
        diagnostics.warn(line.name, source, message);
    }
}

impl Fault {
    pub(super) fn rejection(self, name: &str) -> Rejection {
        let single_quotes = "a value in single quotes; one that contains a single quote in double quotes, and then without $ and backslash";
        let quoted = format!("{name}='<the value>'");
        let plain = format!("{name}=<the value>");
        let (message, accepted, example) = match self {
            Self::NoEquals => ("is not followed by =", "NAME=value", plain),
            Self::Colon => ("is followed by : instead of =", "NAME=value", plain),
            Self::Unclosed => (
                "has an opening quote without a closing one",
                single_quotes,
                quoted,
            ),
            Self::TextAfterQuote => ("has text after its closing quote", single_quotes, quoted),
            Self::Dollar => (
                "has a $ outside single quotes, which some programs replace and others keep",
                single_quotes,
                quoted,
            ),
            Self::Reference => (
                "refers to another variable with ${…}, which is not expanded here",
                "the value itself, without ${…}; or set it where the shell or compose expands it",
                plain,
            ),
            Self::Backslash => (
                "has a backslash outside single quotes, which some programs drop and others keep",
                single_quotes,
                quoted,
            ),
            Self::LeadingHash => (
                "begins with # outside quotes, which some programs take for a comment",
                single_quotes,
                quoted,
            ),
            Self::QuoteInside => (
                "has a quote in an unquoted value, which some programs close many lines later",
                single_quotes,
                format!("{name}=\"<the value>\""),
            ),
            Self::TwoAssignments => (
                "is followed by another assignment on the same line",
                "one assignment on each line",
                plain,
            ),
            Self::Stray => (
                "stands on a line that does not begin with NAME=, and is not read",
                "NAME=value at the beginning of a line of its own, with or without export before it, but without set, $env: or -",
                plain,
            ),
            Self::NotUnicode => ("is not UTF-8", "text in UTF-8", plain),
            Self::Unreadable => ("cannot be read", single_quotes, quoted),
        };
        let kind = match self {
            Self::NotUnicode => ProblemKind::NotUnicode,
            _ => ProblemKind::AmbiguousLine,
        };
        Rejection::value(message, accepted, example).of_kind(kind)
    }
}
