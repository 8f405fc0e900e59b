//! `cargo xtask faults`: clients compete for leases while everything around them breaks.

use crate::cargo;
use crate::outcome::Outcome;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Passed on to the campaign; `--help` lists them
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    pub(crate) words: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    cargo::run_program("leasehold-faults", &arguments.words)
}
