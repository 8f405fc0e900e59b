//! The example's worker and starter, as processes.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use leasehold_testkit::{ChildProcess, wait_until};

use super::say;
use crate::{cargo, process};

const MANIFEST: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../integrations/temporal/Cargo.toml"
);
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(30);

/// How the programs are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    Debug,
    Release,
}

/// Where the two programs are.
pub(crate) struct Programs {
    pub(crate) build: Build,
    worker: PathBuf,
    starter: PathBuf,
}

/// Runs the tests of the crate itself, which need no server.
pub(crate) fn test_crate(build: Build) -> Result<(), Box<dyn Error>> {
    say("building and testing integrations/temporal (the first time: some 300 crates)");
    let mut command = cargo("test", build);
    command
        // Standard output belongs to the results.
        .stdout(std::io::stderr());
    process::finish(&mut command, "the tests of integrations/temporal")
}

fn cargo(task: &str, build: Build) -> Command {
    let mut command = cargo::cargo();
    command
        .args([task, "--locked", "--quiet", "--manifest-path", MANIFEST])
        // A target directory of its own: it shares no crate with the workspace.
        .arg("--target-dir")
        .arg(cargo::target_directory().join("temporal"));
    if build == Build::Release {
        command.arg("--release");
    }
    command
}

impl Programs {
    /// Builds them.
    pub(crate) fn build(build: Build) -> Result<Self, Box<dyn Error>> {
        say("building the example of integrations/temporal");
        let programs = cargo::build_programs(cargo("build", build).arg("--examples"))?;
        let take = |name: &str| cargo::path_of(&programs, name);
        Ok(Self {
            build,
            worker: take("warehouse-worker")?,
            starter: take("warehouse-starter")?,
        })
    }

    /// Starts a worker in a directory with its `.env`, and waits until it takes work.
    pub(crate) fn worker(&self, name: &str, directory: &Path) -> Result<Worker, Box<dyn Error>> {
        let log = directory.join(format!("{name}.log"));
        let mut command = self.command(&self.worker, directory);
        command
            .env("WORKER", name)
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        let process = ChildProcess::spawn(command)?;
        let worker = Worker {
            name: name.to_owned(),
            log,
            process,
        };
        let ready = format!("{name} is ready");
        let is_ready = || worker.log().contains(&ready);
        wait_until(&ready, READY_WITHIN, is_ready)
            .map_err(|error| format!("{error}: {}", worker.log()))?;
        Ok(worker)
    }

    /// Starts the starter; what it prints is kept, and its report is in `report.json` at its end.
    pub(crate) fn starter(
        &self,
        directory: &Path,
        variables: &[(&str, String)],
    ) -> Result<Starter, Box<dyn Error>> {
        let mut command = self.command(&self.starter, directory);
        command
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .env("REPORT", "report.json")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(directory.join("starter.log"))?);
        let process = ChildProcess::spawn(command)?;
        let output = process.take_stdout().ok_or("the starter has no output")?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let shared = lines.clone();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let mut lines = shared.lock().unwrap_or_else(PoisonError::into_inner);
                lines.push(line);
            }
        });
        let input = process.take_stdin().ok_or("the starter has no input")?;
        Ok(Starter {
            process,
            input: Mutex::new(input),
            lines,
            directory: directory.to_owned(),
        })
    }

    fn command(&self, program: &Path, directory: &Path) -> Command {
        let mut command = ChildProcess::command(program);
        // Nothing of our own environment may change what is locked, and where.
        let prefixes = ["REDIS_", "LOCK_", "REDLOCK_", "IS_LOCKING_", "TEMPORAL_"];
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if prefixes.iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        command
            .current_dir(directory)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }
}

/// A worker's process.
pub(crate) struct Worker {
    name: String,
    log: PathBuf,
    pub(crate) process: ChildProcess,
}

impl Worker {
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks it to stop. `Some` is a complaint about how it ended.
    pub(crate) fn stop(&self) -> Option<String> {
        // One that has ended by itself is found out by its status.
        let _ = self.process.terminate();
        match self.process.wait(STOPPED_WITHIN) {
            Ok(status) if status.success() => None,
            Ok(status) => Some(format!("{} ended with {status}", self.name)),
            Err(error) => Some(format!("{}: {error}", self.name)),
        }
    }
}

/// The starter's process.
pub(crate) struct Starter {
    pub(crate) process: ChildProcess,
    input: Mutex<ChildStdin>,
    lines: Arc<Mutex<Vec<String>>>,
    directory: PathBuf,
}

impl Starter {
    pub(crate) fn lines(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.clone()
    }

    /// Tells it the next step.
    pub(crate) fn tell(&self, step: &str) -> std::io::Result<()> {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(input, "{step}")
    }

    /// Waits until it has said enough; `what` is that in words.
    pub(crate) fn wait_for_lines(
        &self,
        what: &str,
        within: Duration,
        is_enough: impl Fn(&[String]) -> bool,
    ) -> Result<(), Box<dyn Error>> {
        wait_until(what, within, || {
            is_enough(&self.lines()) || !self.process.is_running()
        })?;
        if is_enough(&self.lines()) {
            return Ok(());
        }
        self.finish(within)?;
        Err(format!("the starter ended before {what}").into())
    }

    /// Waits until it has ended well.
    pub(crate) fn finish(&self, within: Duration) -> Result<(), Box<dyn Error>> {
        let status = self.process.wait(within)?;
        if status.success() {
            return Ok(());
        }
        let log = std::fs::read_to_string(self.directory.join("starter.log"));
        Err(format!(
            "the starter ended with {status}: {}",
            log.unwrap_or_default()
        )
        .into())
    }
}
