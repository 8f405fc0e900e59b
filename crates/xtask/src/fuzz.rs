//! `cargo xtask fuzz`: searches for input that breaks a promise, with libFuzzer.

use std::error::Error;
use std::process::Stdio;

use crate::cargo;
use crate::outcome::Outcome;

const TARGETS: [&str; 3] = ["replies", "connection", "env_file"];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to search; everything without it
    #[arg(value_parser = TARGETS)]
    targets: Vec<String>,
    /// For how long each target is searched
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let asked = &arguments.targets;
    get_cargo_fuzz()?;
    let is_asked = |name: &&str| asked.is_empty() || asked.iter().any(|word| word == name);
    for target in TARGETS.into_iter().filter(is_asked) {
        if !search(target, arguments.seconds)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn get_cargo_fuzz() -> Result<(), Box<dyn Error>> {
    let mut asking = cargo::cargo();
    asking.args(["fuzz", "--version"]);
    asking.stdout(Stdio::null()).stderr(Stdio::null());
    if asking.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    eprintln!("xtask: installing cargo-fuzz");
    if cargo::run(["install", "--locked", "cargo-fuzz"])? {
        return Ok(());
    }
    Err("cargo-fuzz cannot be installed".into())
}

/// What is found on the way is kept outside the repository; what breaks a promise, in
/// `fuzz/artifacts`.
fn search(target: &str, seconds: u64) -> Result<bool, Box<dyn Error>> {
    let found = format!("target/fuzz/{target}");
    std::fs::create_dir_all(&found)?;
    let mut fuzzing = cargo::cargo();
    fuzzing
        // Sanitizers are an unstable option of the same compiler.
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["fuzz", "run", target, &found])
        .arg(format!("fuzz/corpus/{target}"))
        .args(["--", "-max_len=8192", "-timeout=10"])
        .arg(format!("-max_total_time={seconds}"));
    let status = fuzzing.status();
    Ok(status
        .map_err(|error| format!("cargo did not start: {error}"))?
        .success())
}
