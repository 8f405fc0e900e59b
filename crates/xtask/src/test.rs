//! `cargo xtask test`: every test of the workspace, with whatever it needs.

use crate::arguments::Arguments;
use crate::prepare::{self, Need};
use crate::{Outcome, cargo};

pub(crate) fn run(arguments: Arguments) -> Outcome {
    prepare::get(Need::REDIS)?;
    // Without these some tests say so and pass, so that they are no condition.
    for need in [Need::IP, Need::IPTABLES] {
        if let Err(error) = prepare::get(need) {
            eprintln!("xtask: tests of network partitions will be skipped: {error}");
        }
    }
    let words = arguments.rest();
    let words = ["test", "--workspace", "--no-fail-fast"]
        .into_iter()
        .chain(words.iter().map(String::as_str));
    cargo::run(words)
}
