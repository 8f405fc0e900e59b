//! The wire protocol, as far as a stand-in for a server needs it: reading commands, writing replies.

use std::{
    io::{self, BufRead, Read},
    time::Duration,
};

/// More words than any command of a test has; guards against reading a wrong protocol as a huge length.
const MOST_WORDS: usize = 1_000_000;

/// The protocol version that a connection has agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// What a connection speaks at first.
    Resp2,
    /// What it speaks after `HELLO 3`.
    Resp3,
}

/// One command as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    words: Vec<Vec<u8>>,
}

impl Request {
    /// The words as text, with what is not UTF-8 replaced.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        self.words
            .iter()
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect()
    }

    /// The words as they came.
    #[must_use]
    pub fn bytes(&self) -> &[Vec<u8>] {
        &self.words
    }

    /// One word as text, empty when there are not that many.
    #[must_use]
    pub fn word(&self, index: usize) -> String {
        self.words
            .get(index)
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .unwrap_or_default()
    }

    /// Whether the command begins with these words, in any case.
    #[must_use]
    pub fn is(&self, beginning: &str) -> bool {
        let mut words = self.words.iter();
        beginning.split_whitespace().all(|expected| {
            words
                .next()
                .is_some_and(|word| word.eq_ignore_ascii_case(expected.as_bytes()))
        })
    }

    /// The next command, or `None` when the client has closed the connection.
    pub(crate) fn read(input: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some(line) = read_line(input)? else {
            return Ok(None);
        };
        let Some(count) = line.strip_prefix('*') else {
            let words = line
                .split_whitespace()
                .map(|word| word.as_bytes().to_vec())
                .collect();
            return Ok(Some(Self { words }));
        };
        let mut words = Vec::new();
        for _ in 0..length(count)? {
            let header = read_line(input)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let size = length(header.strip_prefix('$').ok_or(io::ErrorKind::InvalidData)?)?;
            let mut word = Vec::new();
            let read = input.take(size as u64 + 2).read_to_end(&mut word)?;
            if read != size + 2 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            word.truncate(size);
            words.push(word);
        }
        Ok(Some(Self { words }))
    }
}

/// What a stand-in does about one command.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// A short status such as `OK`.
    Status(String),
    /// An error; the text begins with its code.
    Error(String),
    /// A number.
    Integer(i64),
    /// A string.
    Bulk(Vec<u8>),
    /// No value.
    Nil,
    /// A list.
    Array(Vec<Self>),
    /// Names and values; a flat list in the older protocol.
    Map(Vec<(Self, Self)>),
    /// A message outside the order of replies; a list in the older protocol.
    Push(Vec<Self>),
    /// Several replies to one command, one after the other.
    Several(Vec<Self>),
    /// These bytes, whatever they are.
    Raw(Vec<u8>),
    /// The same reply, later.
    After(Duration, Box<Self>),
    /// Nothing; the connection stays open.
    Silence,
    /// The end of the connection.
    Close,
    /// What a server without data would do about it: greet, answer `PING`, refuse the rest as unknown.
    Usual,
}

impl Reply {
    /// A string reply.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Bulk(text.into().into_bytes())
    }

    /// The status `OK`.
    #[must_use]
    pub fn ok() -> Self {
        Self::Status("OK".to_owned())
    }

    /// An error reply; the text begins with its code, such as `READONLY` or `ERR`.
    #[must_use]
    pub fn error(text: impl Into<String>) -> Self {
        Self::Error(text.into())
    }

    /// A list of strings.
    #[must_use]
    pub fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::Array(texts.into_iter().map(Self::text).collect())
    }

    pub(crate) fn encode(&self, protocol: Protocol, output: &mut Vec<u8>) {
        let modern = protocol == Protocol::Resp3;
        match self {
            Self::Status(text) => output.extend(format!("+{text}\r\n").bytes()),
            Self::Error(text) => output.extend(format!("-{text}\r\n").bytes()),
            Self::Integer(number) => output.extend(format!(":{number}\r\n").bytes()),
            Self::Bulk(bytes) => {
                output.extend(format!("${}\r\n", bytes.len()).bytes());
                output.extend(bytes);
                output.extend(b"\r\n");
            }
            Self::Nil if modern => output.extend(b"_\r\n"),
            // The older protocol has two forms; clients take both.
            Self::Nil => output.extend(b"$-1\r\n"),
            Self::Array(items) => encode_all('*', items, protocol, output),
            Self::Push(items) => {
                encode_all(if modern { '>' } else { '*' }, items, protocol, output);
            }
            Self::Map(entries) => {
                let (mark, count) = if modern {
                    ('%', entries.len())
                } else {
                    ('*', entries.len() * 2)
                };
                output.extend(format!("{mark}{count}\r\n").bytes());
                for (name, value) in entries {
                    name.encode(protocol, output);
                    value.encode(protocol, output);
                }
            }
            Self::Several(replies) => replies
                .iter()
                .for_each(|reply| reply.encode(protocol, output)),
            Self::Raw(bytes) => output.extend(bytes),
            Self::After(_, reply) => reply.encode(protocol, output),
            Self::Silence | Self::Close | Self::Usual => {}
        }
    }
}

fn encode_all(mark: char, items: &[Reply], protocol: Protocol, output: &mut Vec<u8>) {
    output.extend(format!("{mark}{}\r\n", items.len()).bytes());
    for item in items {
        item.encode(protocol, output);
    }
}

fn read_line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    input.take(MOST_WORDS as u64).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()))
}

fn length(text: &str) -> io::Result<usize> {
    text.parse().map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_whatever_bytes_they_hold() {
        let mut input: &[u8] = b"*2\r\n$3\r\nGET\r\n$4\r\n\r\n\0\xff\r\nPING now\r\n";
        let first = Request::read(&mut input).ok().flatten();
        assert_eq!(
            first.map(|request| request.words),
            Some(vec![b"GET".to_vec(), b"\r\n\0\xff".to_vec()])
        );
        let second = Request::read(&mut input).ok().flatten();
        assert!(second.is_some_and(|request| request.is("ping NOW")));
        assert!(matches!(Request::read(&mut input), Ok(None)));
    }

    #[test]
    fn a_map_is_flat_in_the_older_protocol() {
        let reply = Reply::Map(vec![(Reply::text("a"), Reply::Nil)]);
        let (mut old, mut new) = (Vec::new(), Vec::new());
        reply.encode(Protocol::Resp2, &mut old);
        reply.encode(Protocol::Resp3, &mut new);
        assert_eq!(old, b"*2\r\n$1\r\na\r\n$-1\r\n");
        assert_eq!(new, b"%1\r\n$1\r\na\r\n_\r\n");
    }
}
