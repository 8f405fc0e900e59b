//! Getting what a command needs and the machine lacks, on Debian and its relatives.

use std::error::Error;
use std::io::{IsTerminal, stdin};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A program, and the package that brings it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need {
    program: &'static str,
    package: &'static str,
    /// The oldest version that will do, where that matters.
    least: Option<Version>,
}

/// Major and minor version.
type Version = (u32, u32);

impl Need {
    pub(crate) const REDIS: Self = Self {
        program: "redis-server",
        package: "redis-server",
        least: Some((6, 2)),
    };
    pub(crate) const POSTGRES: Self = Self {
        program: "initdb",
        package: "postgresql",
        least: None,
    };
    pub(crate) const PROMTOOL: Self = Self {
        program: "promtool",
        package: "prometheus",
        least: None,
    };
    pub(crate) const IP: Self = Self {
        program: "ip",
        package: "iproute2",
        least: None,
    };
    pub(crate) const IPTABLES: Self = Self {
        program: "iptables",
        package: "iptables",
        least: None,
    };
}

/// Makes sure that the program is there, and installs its package if it is not.
pub(crate) fn get(need: Need) -> Result<(), Box<dyn Error>> {
    // A server that is named has a version that was chosen, too.
    if need.program == "redis-server" && set(leasehold_testkit::SERVER_VARIABLE) {
        return Ok(());
    }
    if find(need.program).is_none() {
        install(need.package)?;
    }
    let path = find(need.program).ok_or_else(|| {
        format!(
            "{} is installed, but brought no {}",
            need.package, need.program
        )
    })?;
    let Some(least) = need.least else {
        return Ok(());
    };
    let output = Command::new(&path).arg("--version").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found =
        version(&text).ok_or_else(|| format!("{} --version says {text:?}", path.display()))?;
    if found < least {
        return Err(too_old(need, &path.display().to_string(), found, least).into());
    }
    Ok(())
}

fn too_old(need: Need, path: &str, found: Version, least: Version) -> String {
    format!(
        "{path} is version {}.{}, and {}.{} or later is needed; get one from \
         https://redis.io/docs/latest/operate/oss_and_stack/install/ and put it first in PATH, or \
         name it in {}",
        found.0,
        found.1,
        least.0,
        least.1,
        if need.program == "redis-server" {
            leasehold_testkit::SERVER_VARIABLE
        } else {
            "PATH"
        },
    )
}

/// `redis-server` says `Redis server v=7.0.15 sha=…`.
fn version(text: &str) -> Option<Version> {
    let number = text
        .split_whitespace()
        .find_map(|word| word.strip_prefix("v="))?;
    let mut parts = number.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

fn set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

/// Looks in `PATH`, in the system directories that an ordinary user's `PATH` leaves out, and where
/// Debian keeps each version of PostgreSQL.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql");
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .chain(
            versions
                .into_iter()
                .flatten()
                .flatten()
                .map(|version| version.path().join("bin")),
        )
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

fn install(package: &str) -> Result<(), Box<dyn Error>> {
    if find("apt-get").is_none() {
        return Err(format!(
            "{package} is missing, and there is no apt-get to install it; install it by hand"
        )
        .into());
    }
    let prefix = rights(package)?;
    eprintln!("xtask: {package} is missing; installing it with apt-get");
    if matches!(package, "redis-server" | "postgresql" | "prometheus") {
        eprintln!("xtask: (the package may also start a server, which is not used)");
    }
    let install = ["install", "--yes", "--no-install-recommends", package];
    // Package lists may be missing on a fresh machine, or too old to find anything by.
    if !apt(&prefix, &install)? {
        apt(&prefix, &["update"])?;
        if !apt(&prefix, &install)? {
            return Err(format!(
                "apt-get could not install {package} (see above); install it by hand"
            )
            .into());
        }
    }
    Ok(())
}

/// What to put before a command that only root may run.
fn rights(package: &str) -> Result<Vec<&'static str>, Box<dyn Error>> {
    let by_hand = format!("run as root: apt-get install {package}");
    if rustix::process::geteuid().is_root() {
        return Ok(Vec::new());
    }
    if find("sudo").is_none() {
        return Err(format!("{package} is missing, and there is no sudo; {by_hand}").into());
    }
    if stdin().is_terminal() {
        return Ok(vec!["sudo"]);
    }
    // Nobody is there to type a password.
    let mut may = Command::new("sudo");
    may.args(["-n", "true"]).stderr(Stdio::null());
    if may.status().is_ok_and(|status| status.success()) {
        return Ok(vec!["sudo", "-n"]);
    }
    Err(format!("{package} is missing, and sudo asks for a password; {by_hand}").into())
}

fn apt(prefix: &[&str], words: &[&str]) -> Result<bool, Box<dyn Error>> {
    let line = [
        prefix,
        &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"],
        words,
    ]
    .concat();
    eprintln!("xtask: {}", line.join(" "));
    let mut command = Command::new(line[0]);
    // Standard output belongs to the command that needs the package.
    command.args(&line[1..]).stdout(std::io::stderr());
    Ok(command.status()?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared_as_numbers() {
        let text = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64";
        assert_eq!(version(text), Some((7, 0)));
        assert!(version("Redis server v=6.10.1") > Some((6, 2)));
        assert_eq!(version("something else"), None);
    }

    #[test]
    fn a_server_that_is_too_old_is_named() {
        let message = too_old(Need::REDIS, "/usr/bin/redis-server", (6, 0), (6, 2));
        assert!(message.starts_with("/usr/bin/redis-server is version 6.0, and 6.2 or later"));
        assert!(message.ends_with("LEASEHOLD_REDIS_SERVER"));
    }
}
