//! `cargo xtask model`: the protocol's model, built for speed.

use crate::arguments::Arguments;
use crate::{Outcome, cargo};

pub(crate) fn run(arguments: Arguments) -> Outcome {
    let words = arguments.rest();
    let program = ["run", "--release", "--package", "leasehold-model", "--"];
    cargo::run(program.into_iter().chain(words.iter().map(String::as_str)))
}
