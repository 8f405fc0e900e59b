//! `cargo xtask test`: every test of the workspace, with whatever it needs.

use leasehold_testkit::RIGHTS_VARIABLE;

use crate::cargo;
use crate::outcome::Outcome;
use crate::prepare::{self, Need};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run the tests of the library alone, as a user with the rights that it needs and no others; goes first
    #[arg(long)]
    pub(crate) least_privilege: bool,
    /// Passed on to `cargo test`
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
    let words = &arguments.words;
    let mut command = cargo::cargo();
    command.args(["test", "--no-fail-fast"]);
    cargo::run_tests_together(&mut command);
    if arguments.least_privilege {
        command.env(RIGHTS_VARIABLE, "least");
        command.args(["--package", "leasehold-tests"]);
        if !words.iter().any(|word| word == "--test") {
            command.args(OF_THE_LIBRARY.iter().flat_map(|name| ["--test", name]));
        }
    } else {
        command.arg("--workspace");
    }
    let status = command.args(words).status();
    Ok(status
        .map_err(|error| format!("cargo did not start: {error}"))?
        .success())
}
