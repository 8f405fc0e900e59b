//! `cargo xtask faults`: clients compete for leases while everything around them breaks.

use crate::arguments::Arguments;
use crate::{Outcome, cargo};

pub(crate) const USAGE: &str = "[--minutes N] [--seed S] [--mode strict|relaxed|plain|quorum] [--clients N] [--json] \
                                [--out DIR]";

pub(crate) fn run(arguments: Arguments) -> Outcome {
    let words = arguments.rest();
    let program = [
        "run",
        "--quiet",
        "--release",
        "--package",
        "leasehold-faults",
        "--",
    ];
    cargo::run(program.into_iter().chain(words.iter().map(String::as_str)))
}
