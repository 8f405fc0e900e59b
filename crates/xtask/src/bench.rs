//! `cargo xtask bench`: what a lease costs, beside what others cost.

use crate::cargo;
use crate::outcome::Outcome;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// `cli` for the cost of the command, else passed on to the benchmarks; `--help` lists them
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    pub(crate) words: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    if arguments.words == ["cli"] {
        return command_line();
    }
    // The take-over is measured with `leasehold failover` too.
    let command = [
        "build",
        "--quiet",
        "--release",
        "--package",
        "leasehold-cli",
    ];
    if !cargo::run(command)? {
        return Ok(false);
    }
    cargo::run_program("leasehold-bench", &arguments.words)
}

/// What `leasehold run` costs, beside two questions by `redis-cli`; fails if it is three times as
/// much.
fn command_line() -> Outcome {
    let test = [
        "test",
        "--release",
        "--package",
        "leasehold-cli",
        "--test",
        "run",
    ];
    let name = ["a_lock_costs_little_more_than_a_question"];
    cargo::run(test.into_iter().chain(name).chain(["--", "--nocapture"]))
}
