//! Assignments of ours on lines that are not read: `set NAME=value`, `$env:NAME = 'value'`, `A=1 NAME=value`.

use super::scan::{Line, Rest, split_name, without_comment};
use crate::suggestion;
use crate::variables;

/// Commands and keywords behind which a name needs no `=`.
const COMMANDS: [&str; 10] = [
    "SET", "SETX", "SETENV", "ENV", "ARG", "DECLARE", "TYPESET", "LET", "CONST", "VAR",
];

/// The names of ours, or almost of ours, that a line sets in a way that is not read. The line's own name is
/// not among them.
pub(super) fn names<'a>(line: &Line<'a>) -> Vec<&'a str> {
    match line.rest {
        Rest::Unquoted(raw) => {
            let value = without_comment(raw);
            let names = first_assignment(value)
                .into_iter()
                .chain(assignments(value));
            let mut names: Vec<&str> = names.filter(|name| is_ours(name)).collect();
            for name in behind_semicolons(value) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            names
        }
        Rest::Quoted { inner, after, .. } => {
            // A line of a systemd unit.
            let inner = first_assignment(inner).filter(|_| line.name == "Environment");
            let inner = inner.filter(|name| is_ours(name));
            let after = assigned_words(without_comment(after), false);
            inner.into_iter().chain(after).collect()
        }
        Rest::Other(rest) => {
            let is_command = COMMANDS.contains(&line.name.to_ascii_uppercase().as_str());
            assigned_words(without_comment(rest), is_command)
        }
        _ => Vec::new(),
    }
}

/// The name in the value of `Environment=NAME=value`.
fn first_assignment(value: &str) -> Option<&str> {
    let (_, name, rest) = split_name(value)?;
    rest.starts_with('=').then_some(name)
}

/// The names in `export A=1; export B=2` and `A=1 B=2`, but for the first.
pub(super) fn assignments(value: &str) -> impl Iterator<Item = &str> {
    value.split_whitespace().skip(1).filter_map(|word| {
        let (_, name, rest) = split_name(word)?;
        rest.starts_with('=').then_some(name)
    })
}

/// The names of ours in `A=1;B=2`. Addresses of databases have such parts too, in lower case.
fn behind_semicolons(value: &str) -> impl Iterator<Item = &str> {
    let names = value.split(';').skip(1).filter_map(first_assignment);
    names.filter(|name| variables::find(name).is_some())
}

/// Names of ours behind which something is assigned in any notation.
fn assigned_words(text: &str, is_command: bool) -> Vec<&str> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let mut found = Vec::new();
    let mut rest = text;
    let mut is_named = false;
    while let Some(start) = rest.find(is_name) {
        let word = &rest[start..];
        let (name, after) = word.split_at(word.find(|c| !is_name(c)).unwrap_or(word.len()));
        let follows = after.trim_start_matches([' ', '\t', '"', '\'', ']', '}', ')']);
        let is_assigned = is_command || is_named || follows.starts_with(['=', ':', ',']);
        if is_assigned && is_ours(name) {
            found.push(name);
        }
        // `- name: REDIS_HOST`, as Kubernetes has it.
        is_named = name == "name" && follows.starts_with(':');
        rest = after;
    }
    found
}

/// A name of ours, or one for which there is a suggestion.
fn is_ours(name: &str) -> bool {
    variables::find(name).is_some()
        || suggestion::lookalike(name, "").is_some_and(|found| found.suggestion.is_some())
}
