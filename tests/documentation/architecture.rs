//! The page on the architecture names what exists: modules, the functions from `acquire` to the
//! socket, and where things are changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../docs/architecture.md");
const TOUR: &str = include_str!("../../crates/lock/src/lib.rs");

/// A change that makes the way longer makes this fail.
const MOST_FUNCTIONS: usize = 11;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn source(path: &str) -> String {
    let path = root().join("crates/lock/src").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The words in backquotes of a text.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn section(heading: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(heading).expect("the heading");
    rest.split("\n## ").next().unwrap_or(rest)
}

/// The functions from `acquire` to the socket, each with its file.
fn path_to_the_socket() -> Vec<(&'static str, &'static str)> {
    let (_, rest) = PAGE.split_once("<!-- path: begin -->").expect("a list");
    let (list, _) = rest.split_once("<!-- path: end -->").expect("its end");
    let rows = list.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let mut words = quoted(row);
        let function = words.next().expect("a function");
        (function, words.next().expect("a file"))
    })
    .collect()
}

/// The text of a function: from its name to the brace that closes it, which stands as far to the
/// right as `fn` does.
fn body(function: &str, file: &str) -> String {
    let name = function.rsplit("::").next().unwrap_or(function);
    let text = source(file);
    let is_start = |line: &&str| {
        let (before, rest) = line.split_once("fn ").unwrap_or_default();
        let after = rest.strip_prefix(name).unwrap_or_default();
        before.trim().chars().all(|c| !matches!(c, '/' | '"'))
            && (after.starts_with('(') || after.starts_with('<'))
    };
    let start = text.lines().position(|line| is_start(&line));
    let start = start.unwrap_or_else(|| panic!("`{function}` is not in {file}"));
    let lines: Vec<&str> = text.lines().skip(start).collect();
    let indent = lines[0].len() - lines[0].trim_start().len();
    let end = format!("{}}}", " ".repeat(indent));
    let length = lines.iter().position(|line| *line == end);
    lines[..length.expect("the end of a function")].join("\n")
}

#[test]
fn each_function_on_the_way_to_the_socket_calls_the_next() {
    let path = path_to_the_socket();
    assert_eq!(path.first().map(|one| one.0), Some("Locker::acquire"));
    assert_eq!(path.last().map(|one| one.0), Some("Connection::run_all"));
    for pair in path.windows(2) {
        let [(caller, file), (called, _)] = pair else {
            unreachable!("a window of two")
        };
        let called = called.rsplit("::").next().unwrap_or(called);
        let text = body(caller, file);
        let (_, text) = text.split_once('(').expect("parameters");
        assert!(
            text.contains(&format!("{called}(")),
            "`{caller}` in {file} does not call `{called}`"
        );
    }
    let (last, file) = path[path.len() - 1];
    assert!(body(last, file).contains("send_packed_commands("));
    assert!(path.len() <= MOST_FUNCTIONS, "{} functions", path.len());
}

#[test]
fn the_map_has_every_module_and_no_other() {
    let listed: BTreeSet<String> = section("## The map of")
        .lines()
        .filter(|line| line.starts_with("| `"))
        .flat_map(|line| quoted(line.split('|').nth(1).unwrap_or_default()))
        .map(|name| name.trim_end_matches('/').to_owned())
        .collect();
    let there = fs::read_dir(root().join("crates/lock/src")).expect("the directory");
    let there: BTreeSet<String> = there
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        // The crate's own page, and what only fuzzing uses.
        .filter(|name| !matches!(name.as_str(), "lib.rs" | "fuzzing.rs"))
        .collect();
    // A directory that belongs to a file: `error/` to `error.rs`.
    let is_part = |name: &String| there.contains(&format!("{name}.rs"));
    let there: BTreeSet<String> = there
        .iter()
        .filter(|name| !is_part(name))
        .cloned()
        .collect();
    assert_eq!(listed, there);
}

#[test]
fn the_crates_page_draws_every_directory() {
    let page: String = TOUR
        .lines()
        .filter(|line| line.starts_with("//!"))
        .collect();
    for name in [
        "lifecycle",
        "backend",
        "master",
        "sentinel",
        "protocol",
        "transport",
        "telemetry",
    ] {
        assert!(page.contains(&format!("{name}/")), "no {name}/ in lib.rs");
        assert!(root().join("crates/lock/src").join(name).is_dir(), "{name}");
    }
}

#[test]
fn each_place_to_change_something_exists() {
    let questions: Vec<&str> = section("## Where do I change")
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('?'))
        .collect();
    assert_eq!(questions.len(), 10);
    for question in questions {
        let places: Vec<&str> = quoted(question).filter(|word| word.contains('/')).collect();
        assert!(!places.is_empty(), "{question}");
        for place in places {
            assert!(root().join(place).exists(), "{place}: {question}");
        }
    }
}
