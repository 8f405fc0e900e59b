//! One word has one meaning: no two types of a crate have the same name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::language::files;

/// Twins by purpose: the blocking interface has the names of the other one, a build without TLS has stand-ins, and every
/// command has its `Arguments`.
const TWINS: &[&str] = &[
    "Acquire",
    "Arguments",
    "Fault",
    "Lease",
    "Locker",
    "Slots",
    "TlsClient",
    "TlsStream",
];

#[test]
fn no_two_types_of_a_crate_have_one_name() {
    let mut found = Vec::new();
    for package in ["config", "lock", "cli"] {
        for (name, files) in types(package) {
            if files.len() > 1 && !TWINS.contains(&name.as_str()) {
                found.push(format!("{package}: {name} in {}", files.join(", ")));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The types of a crate, tests apart, with the files that define them.
fn types(package: &str) -> BTreeMap<String, Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let mut types: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in sources(&root.join(package).join("src")) {
        let text = std::fs::read_to_string(&file).expect("a source");
        for name in text.lines().filter_map(defined) {
            let file = file.strip_prefix(&root).unwrap_or(&file);
            let files = types.entry(name.to_owned()).or_default();
            files.push(file.display().to_string());
        }
    }
    assert!(types.len() > 20, "{package}: {}", types.len());
    types
}

/// The name of the type that a line begins to define.
fn defined(line: &str) -> Option<&str> {
    let mut words = line
        .split_whitespace()
        .skip_while(|word| word.starts_with("pub"));
    if !matches!(words.next()?, "struct" | "enum" | "trait") {
        return None;
    }
    words
        .next()?
        .split(|character: char| !character.is_alphanumeric())
        .next()
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(directory, &mut found);
    found.retain(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let is_test = name == "tests.rs" || name.ends_with("_tests.rs");
        let is_schedule = file
            .components()
            .any(|part| part.as_os_str() == "schedules");
        name.ends_with(".rs") && !is_test && !is_schedule
    });
    found
}
