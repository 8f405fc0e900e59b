//! `cargo xtask bench`: what a lease costs, beside what others cost.

use crate::arguments::Arguments;
use crate::{Outcome, cargo};

pub(crate) const USAGE: &str = "[NAME…] [--json] [--seconds N] [--rounds N] [--svg FILE]";

pub(crate) fn run(arguments: Arguments) -> Outcome {
    let words = arguments.rest();
    let program = ["run", "--release", "--package", "leasehold-bench", "--"];
    cargo::run(program.into_iter().chain(words.iter().map(String::as_str)))
}
