//! `docs/configuration.md` and `.env.example` leave no name out and invent none.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use leasehold_config::Config;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path);
    fs::read_to_string(path).expect("a file of the repository")
}

/// The names in a table row's first two cells, if the row is about a variable.
fn names(row: &str) -> Option<Vec<&str>> {
    let row = row.strip_prefix("| `")?;
    let (name, rest) = row.split_once('`')?;
    let is_variable = name
        .bytes()
        .all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    if !is_variable {
        return None;
    }
    let others = rest.split('|').nth(1)?;
    Some(
        std::iter::once(name)
            .chain(others.split('`').skip(1).step_by(2))
            .collect(),
    )
}

#[test]
fn every_variable_has_a_row_and_no_row_is_about_another() {
    let text = read("docs/configuration.md");
    let rows: BTreeSet<&str> = text
        .lines()
        .filter_map(names)
        .map(|names| names[0])
        .collect();
    let config = Config::from_vars::<_, String, String>([]).expect("nothing set");
    let known: BTreeSet<&str> = config
        .settings()
        .iter()
        .map(leasehold_config::Setting::name)
        .collect();
    assert!(known.contains("IS_LOCKING_DISABLED"), "{known:?}");
    assert_eq!(rows, known);
}

#[test]
fn the_other_names_are_those_of_the_example() {
    let text = read("docs/configuration.md");
    let example = read(".env.example");
    let mut expected = BTreeSet::new();
    for line in example
        .lines()
        .filter(|line| line.contains("Also read as "))
    {
        let list = line.split("Also read as ").nth(1).expect("a list");
        let list = list.split(". ").next().expect("a sentence");
        expected.extend(list.trim_end_matches('.').split(", ").map(str::trim));
    }
    let rows = text.lines().filter_map(names);
    let others: BTreeSet<&str> = rows.flat_map(|names| names.into_iter().skip(1)).collect();
    assert!(others.contains("REDIS_AUTH"), "{others:?}");
    assert_eq!(others, expected);
}

/// The other names and the defaults on the page are those of the code.
#[test]
fn other_names_and_defaults_are_as_read() {
    let text = read("docs/configuration.md");
    let rows: Vec<Vec<&str>> = text.lines().filter_map(names).collect();
    let aliases = rows.iter().flat_map(|names| names.iter().skip(1));
    assert!(aliases.clone().count() > 10);
    for alias in aliases {
        let config = Config::from_vars([("IS_LOCKING_DISABLED", "true"), (alias, "")]);
        let config = config.expect("an empty value");
        assert_eq!(config.warnings(), [], "{alias} is not read");
    }
    let config = Config::from_vars([("IS_LOCKING_DISABLED", "false"), ("REDIS_HOST", "h")]);
    let config = config.expect("one server");
    let mut compared = 0;
    for setting in config.settings() {
        let row = text
            .lines()
            .find(|line| line.starts_with(&format!("| `{}` ", setting.name())));
        let cell = row.and_then(|row| row.split('|').nth(3)).expect("a row");
        let stated = cell
            .trim()
            .strip_prefix('`')
            .and_then(|rest| rest.split_once('`'));
        let Some((stated, _)) = stated else { continue };
        if *setting.source() == leasehold_config::Source::Default && setting.value().is_some() {
            // `strict` with Sentinel is a default of other servers than those read here.
            let is_relative = stated.starts_with("LOCK_")
                || stated.starts_with("REDIS_")
                || setting.name() == "LOCK_SAFETY";
            assert!(
                is_relative || setting.value() == Some(stated),
                "{}: {stated}, but {:?}",
                setting.name(),
                setting.value()
            );
            compared += 1;
        }
    }
    assert!(compared >= 10, "{compared} defaults");
}
