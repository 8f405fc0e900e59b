//! `docs/errors.md` quotes messages that exist.

use std::fs;
use std::path::Path;

fn sources(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, text);
        } else {
            *text += &fs::read_to_string(path).expect("a source file");
        }
    }
}

/// Messages are broken over several lines in the sources.
fn joined(text: &str) -> String {
    let mut joined = String::new();
    for line in text.lines() {
        match line.strip_suffix('\\') {
            Some(begun) => joined += begun.trim_start(),
            None => joined = joined + line.trim_start() + "\n",
        }
    }
    joined
}

#[test]
fn every_quoted_message_is_in_the_sources() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    sources(&top.join("src"), &mut text);
    let text = joined(&text);
    let page = fs::read_to_string(top.join("../../docs/errors.md")).expect("the page");
    let quotes = page.lines().filter_map(|line| {
        let (quote, _) = line.strip_prefix("| `")?.split_once("` |")?;
        Some(quote)
    });
    let quotes: Vec<&str> = quotes.collect();
    assert!(quotes.len() > 30, "{}", quotes.len());
    for quote in quotes {
        assert!(text.contains(quote), "no message says {quote:?}");
    }
}
