//! What the tests of the command share.

#![allow(dead_code, reason = "each test program uses a part of this")]

pub(crate) mod terminal;

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use leasehold_testkit::{ChildProcess, RedisServer};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The command, with nothing of the machine's own configuration, in an empty directory.
pub(crate) fn leasehold(variables: &[(String, String)]) -> Command {
    bare(
        ChildProcess::command(env!("CARGO_BIN_EXE_leasehold")),
        variables,
    )
}

fn bare(mut command: Command, variables: &[(String, String)]) -> Command {
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("LOCK_ENV_FILE", "none")
        .envs(variables.iter().map(|(name, value)| (name, value)));
    command
}

/// The variables for leases of one second on one server at `port`.
pub(crate) fn port_env(port: u16) -> Vec<(String, String)> {
    [
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &port.to_string()),
        ("LOCK_TTL", "1s"),
        ("LOCK_MAX_TTL", "1s"),
        ("REDIS_COMMAND_TIMEOUT", "200ms"),
        ("REDIS_CONNECT_TIMEOUT", "500ms"),
        ("LOCK_RETRY_INTERVAL", "100ms"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

pub(crate) fn server_env(server: &RedisServer) -> Vec<(String, String)> {
    port_env(server.port())
}

/// Runs to the end.
pub(crate) fn output(mut command: Command) -> Result<Output, Failure> {
    Ok(command.output()?)
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits until a file has something in it, and returns that.
pub(crate) fn content(path: &Path) -> Result<String, Failure> {
    let text = leasehold_testkit::wait_for(
        format!("{} to be written", path.display()),
        PATIENCE,
        || match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => Ok(text.trim().to_owned()),
            _ => Err("it is not there yet".to_owned()),
        },
    )?;
    Ok(text)
}

/// Whether a process lives; one that is dead and only not collected yet does not.
pub(crate) fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    state.is_some_and(|rest| !rest.starts_with(['Z', 'X']))
}
