//! `docs/errors.md` quotes messages that exist, and leaves none out.

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

/// What stands in quotes in the first column of a part of the page.
fn quotes(page: &str) -> Vec<&str> {
    let quotes = page.lines().filter_map(|line| {
        let (quote, _) = line.strip_prefix("| `")?.split_once("` |")?;
        Some(quote)
    });
    quotes.collect()
}

fn page() -> String {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(top.join("../../docs/errors.md")).expect("the page")
}

/// The text between quotes at the beginning.
fn literal(text: &str) -> Option<&str> {
    let text = text.trim_start().strip_prefix('"')?;
    Some(text.split_once('"')?.0)
}

/// The messages of a source file: of each variant in `#[error("…")]`, and of each in a `Display` that is
/// written by hand; one that is put together from pieces begins with its first.
fn messages(source: &str) -> Vec<&str> {
    let attributes = source.split("#[error(").skip(1).filter_map(literal);
    let written = source.split("impl fmt::Display for ").skip(1);
    let written = written.flat_map(|written| {
        let written = written.split("\nimpl ").next().unwrap_or(written);
        let pieces: Vec<&str> = written.split("write!(").collect();
        let count = match written.contains("match self {") {
            true => pieces.len(),
            false => 2,
        };
        let pieces = pieces.into_iter().take(count).skip(1);
        pieces.filter_map(|piece| literal(piece.trim_start().strip_prefix("f,")?))
    });
    let all = attributes.chain(written);
    all.filter(|message| *message != "{0}").collect()
}

/// Those of an outage are generated from the code: see `errors.rs` of the command's tests.
#[test]
fn every_message_of_an_error_is_on_the_page() {
    let page = page();
    let (by_hand, _) = page.split_once("<!-- causes: begin -->").expect("the rest");
    let quotes = quotes(by_hand);
    let mut found = 0;
    for file in [
        "error.rs",
        "error/loss.rs",
        "error/refusals.rs",
        "resource.rs",
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
        let source = joined(&fs::read_to_string(path).expect("a source file"));
        for message in messages(&source) {
            found += 1;
            let is_quoted = quotes.iter().any(|quote| message.contains(quote));
            assert!(is_quoted, "docs/errors.md has no row for {file}: {message}");
        }
    }
    assert!(found > 30, "{found} messages");
}

#[test]
fn every_quoted_message_is_in_the_sources() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    sources(&top.join("src"), &mut text);
    let text = joined(&text);
    let page = page();
    let quotes = quotes(&page);
    assert!(quotes.len() > 30, "{}", quotes.len());
    for quote in quotes {
        assert!(text.contains(quote), "no message says {quote:?}");
    }
}
