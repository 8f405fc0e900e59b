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
    assert_eq!(others, expected);
}
