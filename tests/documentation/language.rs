//! Words that the project does not use, because a plainer one exists.

use std::fs;
use std::path::{Path, PathBuf};

/// Each word, and what to write instead.
const PLAINER: [(&str, &str); 10] = [
    ("mend", "fix"),
    ("mends", "fixes"),
    ("whoever", "name the component"),
    ("of late", "recent"),
    ("errand", "scheduled task, pending cleanup"),
    ("shipment", "pipeline"),
    ("familiarity", "say what is known"),
    ("to be had", "available"),
    ("so many", "a number of"),
    ("under way", "in progress"),
];

pub(crate) fn files(path: &Path, found: &mut Vec<PathBuf>) {
    if !path.is_dir() {
        found.push(path.to_owned());
        return;
    }
    for entry in fs::read_dir(path).expect("a directory") {
        files(&entry.expect("an entry").path(), found);
    }
}

/// Whether a line has these words, and not only as parts of others.
fn has_words(line: &str, words: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(words).any(|(start, _)| {
        let (before, rest) = line.split_at(start);
        !before.ends_with(is_letter) && !rest[words.len()..].starts_with(is_letter)
    })
}

#[test]
fn a_plainer_word_is_used_where_there_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = vec![root.join("README.md")];
    files(&root.join("docs"), &mut found);
    for entry in fs::read_dir(root.join("crates")).expect("the crates") {
        files(&entry.expect("a crate").path().join("src"), &mut found);
    }
    found.retain(|file| {
        file.extension()
            .is_some_and(|kind| kind == "md" || kind == "rs")
    });
    assert!(found.len() > 150, "{} files", found.len());
    let mut problems = Vec::new();
    for file in found {
        let text = fs::read_to_string(&file).expect("a text").to_lowercase();
        for (number, line) in text.lines().enumerate() {
            for (words, plainer) in PLAINER {
                if has_words(line, words) {
                    let place = format!("{}:{}", file.display(), number + 1);
                    problems.push(format!("{place}: {words}; write: {plainer}"));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn words_are_found_whole() {
    assert!(has_words("an errand, then", "errand"));
    assert!(has_words("work under way", "under way"));
    assert!(!has_words("recommend it", "mend"));
    assert!(!has_words("amended", "mend"));
}
