//! Replies of the server, parsed without trust.

use std::fmt::{self, Write};

use redis::Value;

use crate::unavailable::{Cause, printable};

/// The server answered something that the protocol does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unexpected {
    pub(crate) detail: String,
}

impl Unexpected {
    fn new(expected: &str, found: &Value) -> Self {
        let mut shown = Beginning(String::new());
        // Ends early by intention.
        let _ = write!(shown, "{found:?}");
        // The server's own words are among it, as it wrote them.
        let shown = printable(&shown.0);
        Self {
            detail: format!("expected {expected}, found {shown}"),
        }
    }
}

impl From<Unexpected> for Cause {
    fn from(unexpected: Unexpected) -> Self {
        Self::Protocol {
            detail: unexpected.detail,
        }
    }
}

/// The beginning of a text, of which the rest is not even formatted.
struct Beginning(String);

impl Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        const SHOWN: usize = 80;
        let room = SHOWN.saturating_sub(self.0.chars().count());
        self.0.extend(text.chars().take(room));
        if self.0.chars().count() < SHOWN {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

pub(crate) fn integer(value: &Value) -> Result<i64, Unexpected> {
    match value {
        Value::Int(number) => Ok(*number),
        other => Err(Unexpected::new("an integer", other)),
    }
}

pub(crate) fn array(value: &Value) -> Result<&[Value], Unexpected> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(Unexpected::new("an array", other)),
    }
}

/// Text of a bulk, simple or verbatim string; bytes that are not UTF-8 are replaced.
pub(crate) fn text(value: &Value) -> Result<String, Unexpected> {
    match value {
        Value::BulkString(bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Ok(text.clone()),
        Value::Okay => Ok("OK".to_owned()),
        other => Err(Unexpected::new("a string", other)),
    }
}

/// The item at `at` of an array reply.
pub(crate) fn item(items: &[Value], at: usize) -> Result<&Value, Unexpected> {
    items.get(at).ok_or_else(|| Unexpected {
        detail: format!("expected at least {} items, found {}", at + 1, items.len()),
    })
}

/// The answer to `TIME` in µs; `None` if it is none.
pub(crate) fn microseconds(time: &Value) -> Option<i64> {
    let items = array(time).ok()?;
    let number = |at| -> Option<i64> { text(item(items, at).ok()?).ok()?.parse().ok() };
    number(0)?.checked_mul(1_000_000)?.checked_add(number(1)?)
}

/// Name and value pairs: a RESP3 map, or RESP2's flat array.
pub(crate) fn pairs(value: &Value) -> Result<Vec<(String, String)>, Unexpected> {
    match value {
        Value::Map(entries) => entries
            .iter()
            .map(|(name, value)| Ok((text(name)?, text(value)?)))
            .collect(),
        Value::Array(flat) => flat
            .chunks_exact(2)
            .map(|pair| Ok((text(&pair[0])?, text(&pair[1])?)))
            .collect(),
        other => Err(Unexpected::new("a map", other)),
    }
}

/// The value of `field` in the text of `INFO`.
pub(crate) fn info_field<'a>(info: &'a str, field: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_fields_are_found_whole() {
        let info = "# Replication\r\nrole:master\r\nmaster_replid:ab\r\nmaster_replid2:cd\r\n";
        assert_eq!(info_field(info, "role"), Some("master"));
        assert_eq!(info_field(info, "master_replid"), Some("ab"));
        assert_eq!(info_field(info, "master_replid2"), Some("cd"));
        assert_eq!(info_field(info, "slave"), None);
    }

    #[test]
    fn a_wrong_type_commands_no_terminal() {
        let reply = b"*1\r\n-ERR bad \x1b[31m thing\r\n";
        let error = redis::parse_redis_value(reply).expect("a reply");
        let unexpected = integer(&error).expect_err("no integer");
        let detail = unexpected.detail;
        assert!(!detail.contains(char::is_control), "{detail:?}");
        assert!(detail.contains("\\u{1b}[31m thing"), "{detail:?}");
    }

    #[test]
    fn wrong_types_are_told_in_bounded_text() {
        let huge = Value::BulkString(vec![b'x'; 1 << 20]);
        let unexpected = integer(&huge).expect_err("no integer");
        assert!(unexpected.detail.len() < 200, "{}", unexpected.detail);
    }
}
