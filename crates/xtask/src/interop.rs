//! `cargo xtask interop`: our workers and those of others, under one limit.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::arguments::{Arguments, Misuse};
use crate::prepare::{self, Need};
use crate::{Outcome, cargo};

pub(crate) const USAGE: &str = "[--out FILE]";

const REQUIREMENTS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/interop/python/requirements.txt"
);

/// Which Python the tests use; a virtual environment of our own without it.
const PYTHON: &str = "LEASEHOLD_INTEROP_PYTHON";

pub(crate) fn run(arguments: Arguments) -> Outcome {
    let words = arguments.rest();
    let out = match words.as_slice() {
        [] => None,
        [option, file] if option == "--out" => Some(std::path::absolute(file)?),
        _ => return Err(Misuse::new(format!("not understood: {}", words.join(" "))).into()),
    };
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
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    let directory = target.join("interop-python");
    let python = directory.join("bin/python");
    if !python.exists() {
        let mut make = Command::new("python3");
        make.args(["-m", "venv"]).arg(&directory);
        finish(
            &mut make,
            "python3 -m venv (on Debian: apt-get install python3-venv)",
        )?;
    }
    let mut install = Command::new(&python);
    install
        .args(["-m", "pip", "install", "--quiet", "--upgrade"])
        .args(["--disable-pip-version-check", "--requirement", REQUIREMENTS]);
    finish(&mut install, "pip install")?;
    Ok(python)
}

fn finish(command: &mut Command, what: &str) -> Result<(), Box<dyn Error>> {
    // Standard output belongs to the results.
    let status = command.stdout(Stdio::null()).status();
    let status = status.map_err(|error| format!("{what} did not start: {error}"))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{what} failed; see above").into())
}
