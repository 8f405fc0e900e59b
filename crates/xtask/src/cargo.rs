//! Running cargo from within cargo.

use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The cargo that runs this program.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs cargo with these words, its output on ours; gives whether it succeeded.
pub(crate) fn run<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<bool, Box<dyn Error>> {
    let mut command = cargo();
    command.args(words);
    let status = command.status();
    Ok(status
        .map_err(|error| format!("cargo did not start: {error}"))?
        .success())
}

/// Builds an example and says where the program is.
pub(crate) fn build_example(package: &str, example: &str) -> Result<PathBuf, Box<dyn Error>> {
    let mut command = cargo();
    command
        .args([
            "build",
            "--quiet",
            "--package",
            package,
            "--example",
            example,
        ])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit());
    let output = command.output();
    let output = output.map_err(|error| format!("cargo did not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("the example {example} does not build").into());
    }
    let lines = String::from_utf8_lossy(&output.stdout);
    let path = lines.lines().find_map(|line| executable(line, example));
    Ok(path.ok_or_else(|| format!("cargo did not say where the example {example} is"))?)
}

/// The program that a line of cargo's report is about, if it is the example's.
fn executable(line: &str, example: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    if message["target"]["name"] != example || message["target"]["kind"][0] != "example" {
        return None;
    }
    message["executable"].as_str().map(PathBuf::from)
}
