//! What is printed: data on standard output, words for people on standard error.
//!
//! Whatever comes from elsewhere (a name, an owner, a server's words) passes [`plain`], so that it
//! cannot move the cursor, colour the terminal or forge a line.

use std::env;
use std::io::{self, IsTerminal, Write};

use serde_json::Value;

/// How to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    colours: bool,
    is_screen: bool,
}

/// Colours with a meaning.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tone {
    Good,
    Doubtful,
    Bad,
}

impl Output {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let is_plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let is_screen = !is_dumb && io::stdout().is_terminal();
        Self {
            json,
            quiet,
            colours: is_screen && !is_plain,
            is_screen,
        }
    }

    /// Whether standard output is a terminal on which the cursor can be moved.
    pub(crate) fn is_screen(self) -> bool {
        self.is_screen
    }

    /// One line of data. A reader that has gone is no failure.
    pub(crate) fn line(self, text: &str) {
        let _ = writeln!(io::stdout(), "{text}");
    }

    /// One JSON document on a line of its own.
    pub(crate) fn document(self, document: &Value) {
        self.line(&document.to_string());
    }

    /// A remark for people, unless they want none.
    pub(crate) fn note(self, text: &str) {
        if !self.quiet {
            complain(text);
        }
    }

    pub(crate) fn coloured(self, tone: Tone, text: &str) -> String {
        if !self.colours {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Doubtful => "33",
            Tone::Bad => "31",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// A message that is always printed.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "leasehold: {}", lines(text));
}

/// Text from elsewhere, on one line and without control characters.
pub(crate) fn plain(text: &str) -> String {
    escape(text, |_| false)
}

/// As [`plain`], but the text is a message of our own and may have lines.
fn lines(text: &str) -> String {
    escape(text, |character| character == '\n')
}

fn escape(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if (character.is_control() && !is_kept(character)) || is_deceptive(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Characters that reorder or hide what is around them.
fn is_deceptive(character: char) -> bool {
    matches!(
        character,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
    )
}

/// Rows under headings, each column as wide as its widest cell.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| width_of(cell)).max().unwrap_or(0);
        widest.max(headings[column].chars().count())
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (cell, width) in cells.zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(
                ' ',
                width.saturating_sub(width_of(cell)) + 2,
            ));
        }
        line.trim_end().to_owned()
    };
    let mut text = line(&mut headings.iter().copied());
    for row in rows {
        text.push('\n');
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// The width of a cell without its colours. Nothing from elsewhere has an escape character.
fn width_of(cell: &str) -> usize {
    let mut parts = cell.split('\u{1b}');
    let before = parts.next().unwrap_or_default().chars().count();
    let after = parts.map(|part| part.split_once('m').map_or("", |(_, text)| text));
    before + after.map(|text| text.chars().count()).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_elsewhere_reaches_the_terminal_as_a_command() {
        assert_eq!(plain("a\u{1b}[2Jb\r\nc"), "a\\u{1b}[2Jb\\r\\nc");
        assert_eq!(plain("\u{202e}evil"), "\\u{202e}evil");
        assert_eq!(plain("größe"), "größe");
    }

    #[test]
    fn columns_line_up() {
        let rows = vec![
            vec!["a".into(), "1".into()],
            vec!["long".into(), "2".into()],
        ];
        assert_eq!(table(&["NAME", "N"], &rows), "NAME  N\na     1\nlong  2");
        assert_eq!(
            width_of("\u{1b}[31mred\u{1b}[0m and \u{1b}[32mgreen\u{1b}[0m"),
            13
        );
    }
}
