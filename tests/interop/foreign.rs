//! The workers of others: Python programs that use a published library.

use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::{Child, Command};

/// The name that both kinds lock.
pub(crate) const NAME: &str = "interop";

/// Which Python to use; `python3` of the `PATH` without it.
const PYTHON: &str = "LEASEHOLD_INTEROP_PYTHON";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Library {
    Atlan,
    RedisPy,
    RedlockPy,
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Atlan => "atlan",
            Self::RedisPy => "redis-py",
            Self::RedlockPy => "redlock-py",
        })
    }
}

impl Library {
    /// The packages whose versions matter.
    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Atlan => &["atlan-application-sdk", "temporalio", "redis"],
            Self::RedisPy => &["redis"],
            Self::RedlockPy => &["redlock-py", "redis"],
        }
    }
}

fn python() -> PathBuf {
    std::env::var_os(PYTHON).map_or_else(|| PathBuf::from("python3"), PathBuf::from)
}

/// The versions of the library and of what it stands on, or why it cannot be used.
pub(crate) fn versions(library: Library) -> Result<String, String> {
    let ask = "import sys, importlib.metadata as m; \
               print(', '.join(f'{p} {m.version(p)}' for p in sys.argv[1:]))";
    let output = std::process::Command::new(python())
        .args(["-c", ask])
        .args(library.packages())
        .output()
        .map_err(|error| format!("{} cannot be run: {error}", python().display()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let packages = library.packages().join(", ");
    Err(format!(
        "{} lacks one of the packages {packages}; `cargo xtask interop` gets them",
        python().display()
    ))
}

/// One running worker; killed if the test fails.
pub(crate) struct Foreign(Child);

impl Foreign {
    pub(crate) fn start(library: Library, limit: usize, port: u16, password: &str) -> Self {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("interop/python/worker.py");
        let child = Command::new(python())
            .arg(script)
            .args([&library.to_string(), NAME, &limit.to_string()])
            .args([&port.to_string(), password])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        Self(child.expect("a Python worker"))
    }

    pub(crate) async fn join(self) {
        let output = self.0.wait_with_output().await.expect("the worker's end");
        assert!(
            output.status.success(),
            "a Python worker failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
