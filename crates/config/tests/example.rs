//! `.env.example` works as it stands, and leaves no variable out.

mod common;

use std::fs;
use std::path::Path;

use common::{from_file, standalone};
use leasehold_config::{Config, Endpoint};

fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.env.example");
    fs::read_to_string(path).expect("the example at the top of the repository")
}

#[test]
fn it_works_as_it_stands() {
    let config = from_file(example()).expect("the example");
    assert_eq!(
        standalone(&config).endpoint,
        Endpoint::new("localhost", 6379)
    );
    assert_eq!(config.warnings(), []);
}

#[test]
fn every_variable_is_in_it() {
    let example = example();
    let config = Config::from_vars::<_, String, String>([]).expect("nothing set");
    for setting in config.settings() {
        let name = setting.name();
        let is_there = example.lines().any(|line| {
            let line = line.trim_start_matches("# ");
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('='))
        });
        assert!(is_there, "{name}");
    }
}

/// Taking the comment sign away must give a line that is read.
#[test]
fn every_line_in_it_is_read() {
    for line in example().lines() {
        let line = line.trim_start_matches("# ");
        let is_assignment = line
            .split_once('=')
            .is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
        if is_assignment && !line.contains("_FILE=") {
            let config = from_file(format!(
                "IS_LOCKING_DISABLED=true\n{line}\nREDIS_HOST=localhost\n"
            ));
            let config = config.unwrap_or_else(|error| panic!("{line}: {error}"));
            let slips: Vec<_> = config
                .warnings()
                .iter()
                .filter(|w| w.message().contains("did you mean"))
                .collect();
            assert!(slips.is_empty(), "{slips:?}");
        }
    }
}
