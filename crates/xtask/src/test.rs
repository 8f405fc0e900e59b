//! `cargo xtask test`: every test of the workspace, with whatever it needs.

use std::process::Command;

use leasehold_testkit::RIGHTS_VARIABLE;

use crate::cargo;
use crate::outcome::Outcome;
use crate::prepare::{self, Need};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run the tests of the library alone, as a user with the rights that it needs and no others; goes first
    #[arg(long)]
    pub(crate) least_privilege: bool,
    /// Passed on to `cargo test`; with `--least-privilege` a filter goes behind `--`
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "CARGO TEST ARGUMENTS"
    )]
    pub(crate) words: Vec<String>,
}

/// Tests of what the library does on servers. Others bring users of their own, or look at servers as
/// an operator does.
const OF_THE_LIBRARY: &[&str] = &[
    "bad_input",
    "cluster",
    "conformance",
    "documentation",
    "endings",
    "example_programs",
    "failover",
    "lease",
    "quorum",
    "safety",
    "sentinels",
    "server_errors",
    "telemetry",
];

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    prepare::get(Need::REDIS)?;
    // Without these some tests say so and pass, so that they are no condition.
    for need in [Need::IP, Need::IPTABLES] {
        if let Err(error) = prepare::get(need) {
            eprintln!("xtask: tests of network partitions will be skipped: {error}");
        }
    }
    if let Err(error) = prepare::get(Need::POSTGRES) {
        eprintln!("xtask: the example with a PostgreSQL table will not be tested: {error}");
    }
    if let Err(error) = prepare::get(Need::PROMTOOL) {
        eprintln!("xtask: the alert rules will not be tested: {error}");
    }
    if arguments.least_privilege {
        return run_with_least_rights(&arguments.words);
    }
    let mut command = cargo::cargo();
    command.args(["test", "--no-fail-fast", "--workspace"]);
    cargo::run_tests_together(&mut command);
    let status = command.args(&arguments.words).status();
    Ok(status
        .map_err(|error| format!("cargo did not start: {error}"))?
        .success())
}

/// What follows `--` goes to each test program.
fn run_with_least_rights(words: &[String]) -> Outcome {
    let mut words = words.iter().map(String::as_str);
    let mut building: Vec<&str> = words.by_ref().take_while(|word| *word != "--").collect();
    if !building.contains(&"--test") {
        building.extend(OF_THE_LIBRARY.iter().flat_map(|name| ["--test", name]));
    }
    let words: Vec<&str> = words.collect();
    let mut has_passed = true;
    for program in cargo::build_tests(building)? {
        eprintln!("xtask: {} with the least rights", program.name);
        let mut command = Command::new(&program.path);
        command
            .current_dir(&program.package)
            .env(RIGHTS_VARIABLE, "least")
            .args(&words);
        cargo::run_tests_together(&mut command);
        has_passed &= command.status()?.success();
    }
    Ok(has_passed)
}
