//! Python, for what only its package index has.

use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process;

/// The interpreter of a virtual environment in this directory, which is made if it is missing.
pub(crate) fn environment(directory: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let python = directory.join("bin/python");
    if !python.exists() {
        let mut make = Command::new("python3");
        make.args(["-m", "venv"]).arg(directory);
        process::finish(
            make.stdout(Stdio::null()),
            "python3 -m venv (on Debian: apt-get install python3-venv)",
        )?;
    }
    Ok(python)
}

/// Runs pip with these words.
pub(crate) fn pip<S: AsRef<OsStr>>(
    python: &Path,
    words: impl IntoIterator<Item = S>,
) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(python);
    command
        .args(["-m", "pip", "--disable-pip-version-check"])
        .args(words);
    // Standard output belongs to the results.
    process::finish(command.stdout(Stdio::null()), "pip")
}
