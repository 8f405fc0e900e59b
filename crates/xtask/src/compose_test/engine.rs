//! The programs `docker` and `docker compose`.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::process::{Command, Output, Stdio};

use rustix::fs::{FlockOperation, flock};

/// A Docker engine that answers, and the compose tool for it.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) version: String,
    /// `docker compose`, or `docker-compose` where that is older.
    compose: &'static [&'static str],
}

impl Engine {
    /// `Err` says what is missing, for people.
    pub(super) fn find() -> Result<Self, String> {
        let version = ["info", "--format", "{{.ServerVersion}}"];
        let version = output(Command::new("docker").args(version))
            .map_err(|error| format!("no Docker engine answers: {error}"))?;
        let tools: [&'static [&'static str]; 2] = [&["docker", "compose"], &["docker-compose"]];
        let compose = tools.into_iter().find(|words| {
            let mut command = Command::new(words[0]);
            output(command.args(&words[1..]).arg("version")).is_ok()
        });
        Ok(Self {
            version,
            compose: compose.ok_or("there is neither `docker compose` nor `docker-compose`")?,
        })
    }

    pub(super) fn compose(&self) -> String {
        self.compose.join(" ")
    }

    /// The same with the whole path of its program, which no other of that name can hide.
    pub(super) fn compose_absolute(&self) -> Result<String, String> {
        let program = output(Command::new("which").arg(self.compose[0]))?;
        Ok([&[program.as_str()], &self.compose[1..]].concat().join(" "))
    }

    /// The compose tool, to be given its words.
    pub(super) fn compose_command(&self) -> Command {
        let mut command = Command::new(self.compose[0]);
        command.args(&self.compose[1..]);
        command
    }
}

/// Runs `docker`, and gives what it printed.
pub(super) fn docker<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<String, String> {
    output(Command::new("docker").args(words))
}

/// Runs a command to its end; gives its standard output, or what it complained of.
pub(super) fn output(command: &mut Command) -> Result<String, String> {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).trim_end().to_owned());
    }
    let stderr = String::from_utf8_lossy(&stderr);
    // The last lines are about the failure, what is before them about the way there.
    let lines: Vec<&str> = stderr.trim_end().lines().collect();
    let last = lines[lines.len().saturating_sub(5)..].join("; ");
    let program = command.get_program().display();
    Err(format!("{program} failed ({status}): {last}"))
}

/// Waits until no other run of this command is in progress; the next one waits until this is dropped.
pub(super) fn alone() -> Result<File, Box<dyn Error>> {
    let path = std::env::temp_dir().join("leasehold-compose-test.lock");
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}
