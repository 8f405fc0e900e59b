//! Partitions between real network stacks, for tests that run as root on Linux.
//!
//! A [`Network`] is a handful of hosts, each a network namespace with an address of its own, joined by a switch. The
//! test process is on the switch too, so that it can talk to everybody. Packets are dropped by firewall rules inside the
//! hosts, in one direction or both, wholly or at random.
//!
//! ```no_run
//! use leasehold_testkit::{SentinelCluster, netns};
//!
//! if netns::available().is_ok() {
//!     let network = netns::Network::start(4)?;
//!     let cluster = SentinelCluster::builder().on(&network.hosts()[..3]).start()?;
//!     // The master and a client against the rest.
//!     network.partition(&[&[0, 3], &[1, 2]])?;
//!     let new = cluster.wait_for_new_master(0);
//!     network.heal()?;
//! }
//! # Ok::<(), leasehold_testkit::Error>(())
//! ```

use std::{
    ffi::{OsStr, OsString},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::{
    binary,
    error::{Error, Result, file_error},
    spawn,
};

mod network;

pub use network::Network;

const FEATURE: &str = "a network of namespaces";
const INSTALL_IP: &str = "apt-get install iproute2";
const INSTALL_IPTABLES: &str = "apt-get install iptables";

/// Whether this process may make namespaces, and has the programs for it.
///
/// # Errors
///
/// [`Error::Unavailable`] or [`Error::MissingBinary`], saying what is missing.
pub fn available() -> Result<()> {
    let unavailable = |reason: &str| {
        Err(Error::Unavailable {
            feature: FEATURE,
            reason: reason.to_owned(),
        })
    };
    if !cfg!(target_os = "linux") {
        return unavailable("it needs Linux");
    }
    if !rustix::process::geteuid().is_root() {
        return unavailable("it needs root");
    }
    binary::require("ip", INSTALL_IP)?;
    binary::require("iptables", INSTALL_IPTABLES)?;
    // Root in a container is often not allowed to.
    static TRIALS: AtomicUsize = AtomicUsize::new(0);
    let trial = format!(
        "lh{}try{}",
        std::process::id(),
        TRIALS.fetch_add(1, Ordering::SeqCst)
    );
    ip(&["netns", "add", &trial])?;
    ip(&["netns", "delete", &trial])
}

/// A place where processes run: this machine's loopback interface, or a namespace of a [`Network`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    namespace: Option<String>,
    address: String,
}

impl Host {
    /// The loopback interface of this machine, where everything runs unless placed elsewhere.
    #[must_use]
    pub fn loopback() -> Self {
        Self {
            namespace: None,
            address: "127.0.0.1".to_owned(),
        }
    }

    /// The address at which the others reach what runs here.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A command that runs `program` here and dies with the test process; start it with
    /// [`ChildProcess::spawn`](crate::ChildProcess::spawn).
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        spawn::tied(&self.wrapper(), program.as_ref())
    }

    /// What to put before a command, so that it runs here.
    pub(crate) fn wrapper(&self) -> Vec<OsString> {
        let Some(namespace) = &self.namespace else {
            return Vec::new();
        };
        let ip = binary::find("ip").map_or_else(|| "ip".into(), OsString::from);
        vec![ip, "netns".into(), "exec".into(), namespace.into()]
    }
}

fn ip(words: &[&str]) -> Result<()> {
    run(binary::require("ip", INSTALL_IP)?.as_os_str(), words)
}

fn run(program: &OsStr, words: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(words)
        .output()
        .map_err(file_error("starting", program))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Program {
        program: format!("{} {}", program.to_string_lossy(), words.join(" ")),
        status: output.status.to_string(),
        output: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
