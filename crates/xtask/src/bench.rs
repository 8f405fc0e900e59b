//! `cargo xtask bench`: what a lease costs, beside what others cost.

use crate::arguments::Arguments;
use crate::{Outcome, cargo};

pub(crate) const USAGE: &str = "cli | [NAME…] [--json] [--seconds N] [--rounds N] [--svg FILE]";

pub(crate) fn run(arguments: Arguments) -> Outcome {
    let words = arguments.rest();
    if words == ["cli"] {
        return command_line();
    }
    let program = ["run", "--release", "--package", "leasehold-bench", "--"];
    cargo::run(program.into_iter().chain(words.iter().map(String::as_str)))
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
