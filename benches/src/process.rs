//! What a process uses: processor time and memory, and children of this very program to measure.

use std::process::Stdio;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::process::{Child, Command};

use crate::{Error, Result};

/// Memory that is resident now, in bytes; `None` where the system does not tell.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Processor time used so far by all threads that still run; `None` where the system does not tell.
#[must_use]
pub fn processor_time() -> Option<Duration> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?;
    let on_processor = threads.filter_map(|thread| {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Some(Duration::from_nanos(on_processor.sum()))
}

/// A process of this program that does one part of a figure and prints what it found.
pub struct Part(Child);

impl Part {
    /// Starts this program again with the part's name and arguments.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start(arguments: &[String]) -> Result<Self> {
        let child = Command::new(std::env::current_exe()?)
            .arg(crate::figures::PART)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self(child))
    }

    /// Waits for its end and reads what it printed.
    ///
    /// # Errors
    ///
    /// When it failed, or printed something else.
    pub async fn outcome<T: DeserializeOwned>(self) -> Result<T> {
        let output = self.0.wait_with_output().await?;
        if !output.status.success() {
            return Err(Error::from(format!(
                "a part of the benchmark ended with {}",
                output.status
            )));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// Prints what a part found.
///
/// # Errors
///
/// When it cannot be written.
pub fn print(outcome: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(outcome)?);
    Ok(())
}
