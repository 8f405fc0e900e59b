//! What a run was made on: enough to compare by, nothing that names the machine.

use std::fmt::{self, Display, Formatter};
use std::process::Command;

use serde::Serialize;

/// The machine and the versions.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// Processors that this process may use.
    pub cores: usize,
    /// The processor's model, where the system tells it.
    pub processor: String,
    /// Operating system and architecture.
    pub system: String,
    /// The server.
    pub server: String,
    /// The compiler.
    pub compiler: String,
    /// Load average over a minute when the run began and when it ended, where the system tells it.
    pub load: [f64; 2],
}

impl Machine {
    /// Looks around.
    #[must_use]
    pub fn look() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let processor = read("/proc/cpuinfo")
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or_else(String::new, |(_, model)| model.to_owned());
        let kernel = read("/proc/sys/kernel/osrelease");
        let kernel = kernel
            .split('-')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned();
        let server = std::env::var(leasehold_testkit::SERVER_VARIABLE)
            .unwrap_or_else(|_| "redis-server".to_owned());
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor,
            system: format!(
                "{} {kernel} {}",
                std::env::consts::OS,
                std::env::consts::ARCH
            ),
            server: first_words(&server, 3),
            compiler: first_words("rustc", 2),
            load: [load(), 0.0],
        }
    }

    /// Notes the load at the end.
    pub fn finish(&mut self) {
        self.load[1] = load();
    }
}

impl Display for Machine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cores of {}, {}; {}; {}; load {:.1} at the beginning, {:.1} at the end",
            self.cores,
            self.processor,
            self.system,
            self.server,
            self.compiler,
            self.load[0],
            self.load[1]
        )
    }
}

fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next().unwrap_or_default();
    first.parse().unwrap_or_default()
}

fn first_words(program: &str, words: usize) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    text.split_whitespace()
        .take(words)
        .collect::<Vec<_>>()
        .join(" ")
}
