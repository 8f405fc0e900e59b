//! `cargo xtask model`: the protocol's model, built for speed.

use crate::cargo;
use crate::outcome::Outcome;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Passed on to the model; `--help` lists them
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    pub(crate) words: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    cargo::run_program("leasehold-model", &arguments.words)
}
