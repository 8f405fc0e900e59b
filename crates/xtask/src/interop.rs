//! `cargo xtask interop`: our workers and those of others, under one limit.

use std::error::Error;
use std::path::PathBuf;

use crate::outcome::Outcome;
use crate::prepare::{self, Need};
use crate::{cargo, python};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where the results are written, as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

const REQUIREMENTS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/interop/python/requirements.txt"
);

/// Which Python the tests use; a virtual environment of our own without it.
const PYTHON: &str = "LEASEHOLD_INTEROP_PYTHON";

pub(crate) fn run(arguments: Arguments) -> Outcome {
    let out = arguments.out.map(std::path::absolute).transpose()?;
    prepare::get(Need::REDIS)?;
    let python = match std::env::var_os(PYTHON) {
        Some(python) => PathBuf::from(python),
        None => environment()?,
    };
    let mut command = cargo::cargo();
    command
        .args(["test", "--quiet", "--package", "leasehold-tests"])
        .args(["--test", "interop", "--"])
        .args(["--ignored", "--nocapture"])
        .env(PYTHON, python);
    if let Some(out) = out {
        command.env("LEASEHOLD_INTEROP_OUT", out);
    }
    Ok(command.status()?.success())
}

/// A virtual environment with the foreign clients, made once and brought up to date each time.
fn environment() -> Result<PathBuf, Box<dyn Error>> {
    let python = python::environment(&cargo::target_directory().join("interop-python"))?;
    python::pip(
        &python,
        [
            "install",
            "--quiet",
            "--upgrade",
            "--requirement",
            REQUIREMENTS,
        ],
    )?;
    Ok(python)
}
