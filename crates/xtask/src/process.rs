//! Running a program to its end.

use std::error::Error;
use std::process::Command;

/// Runs a command, its output on ours; fails unless it succeeds.
pub(crate) fn finish(command: &mut Command, what: &str) -> Result<(), Box<dyn Error>> {
    let status = command.status();
    let status = status.map_err(|error| format!("{what} did not start: {error}"))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{what} failed ({status}); see above").into())
}

/// What a program prints, without the spaces around it.
pub(crate) fn output(command: &mut Command, what: &str) -> Result<String, Box<dyn Error>> {
    let output = command.output();
    let output = output.map_err(|error| format!("{what} did not start: {error}"))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{what} failed ({}): {error}", output.status).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
