//! Finding the programs that the kit runs, and saying how to get them.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock},
};

use crate::{
    acceptor::lock,
    error::{Error, Result},
};

/// The environment variable that names another server program, for example Valkey's.
pub const SERVER_VARIABLE: &str = "LEASEHOLD_REDIS_SERVER";

const INSTALL_REDIS: &str = "apt-get install redis-server redis-sentinel";

/// Looks in `PATH`, and in the system directories that an ordinary user's `PATH` leaves out.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| path.is_file());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

pub(crate) fn require(program: &str, install: &'static str) -> Result<PathBuf> {
    find(program).ok_or_else(|| Error::MissingBinary {
        binary: program.to_owned(),
        install,
    })
}

/// The server program: as asked for, else as the environment says, else `redis-server`.
pub(crate) fn server(explicit: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = explicit {
        return require(&path.to_string_lossy(), INSTALL_REDIS);
    }
    match env::var(SERVER_VARIABLE) {
        Ok(name) if !name.is_empty() => require(&name, INSTALL_REDIS),
        _ => require("redis-server", INSTALL_REDIS),
    }
}

/// The command-line client that belongs to a server program: its neighbour, else the one in `PATH`.
pub(crate) fn client_of(server: &Path) -> Result<PathBuf> {
    let neighbour = server
        .file_name()
        .map(|name| name.to_string_lossy().replace("-server", "-cli"));
    neighbour
        .map(|name| server.with_file_name(name))
        .filter(|path| path.is_file())
        .map_or_else(|| require("redis-cli", INSTALL_REDIS), Ok)
}

/// The major version of a server program; a program that does not say is taken for a recent one.
pub(crate) fn major_version(server: &Path) -> u32 {
    // Asked once for each program, since asking takes a third of the time of a start.
    static KNOWN: Mutex<BTreeMap<PathBuf, u32>> = Mutex::new(BTreeMap::new());
    let mut known = lock(&KNOWN);
    if let Some(version) = known.get(server) {
        return *version;
    }
    let version = ask_major_version(server).unwrap_or(u32::MAX);
    known.insert(server.to_owned(), version);
    version
}

fn ask_major_version(server: &Path) -> Option<u32> {
    let output = Command::new(server).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text
        .split_whitespace()
        .find_map(|word| word.strip_prefix("v="))?;
    version.split('.').next()?.parse().ok()
}

/// Linux's `setpriv`, which ties a child's life to its parent's.
pub(crate) fn setpriv() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND.get_or_init(|| find("setpriv")).as_deref()
}
