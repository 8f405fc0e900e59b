//! What it takes to start a server: a directory, a port that is still free, and a second try.

use std::{fs, path::Path, thread};

use tempfile::TempDir;

use super::ServerProcess;
use crate::{
    client::Credentials,
    error::{Error, Result, file_error},
    port::Port,
    spawn::Launch,
};

/// How often a port that was taken at the last moment is replaced by another.
const PORT_ATTEMPTS: usize = 5;

const ADDRESS_IN_USE: &str = "Address already in use";

/// What a server is started from; see [`ServerProcess::start`].
pub(crate) struct Plan {
    pub(crate) kind: &'static str,
    pub(crate) host: String,
    pub(crate) port: Port,
    pub(crate) launch: Launch,
    pub(crate) credentials: Credentials,
    /// Whom an application logs in as, where that is another than the kit.
    pub(crate) application: Option<Credentials>,
    pub(crate) directory: TempDir,
}

/// Starts a server on the chosen port, or on a free one, and on another if that was taken at the last moment.
pub(crate) fn start_on(
    chosen: Option<u16>,
    start: impl Fn(Port) -> Result<ServerProcess>,
) -> Result<ServerProcess> {
    if let Some(number) = chosen {
        return start(Port::chosen(number));
    }
    let mut attempt = 1;
    loop {
        match start(Port::reserve()?) {
            Err(Error::NotReady { log, .. })
                if attempt < PORT_ATTEMPTS && log.contains(ADDRESS_IN_USE) =>
            {
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

/// Starts several servers at once, each told its index.
pub(crate) fn together<T: Send>(
    count: usize,
    start: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let start = &start;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|index| scope.spawn(move || start(index)))
            .collect();
        let panicked = |_| Error::Unavailable {
            feature: "a server",
            reason: "the thread starting it panicked".into(),
        };
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(panicked)?)
            .collect()
    })
}

/// A new private directory for one server.
pub(crate) fn new_directory() -> Result<TempDir> {
    let created = tempfile::Builder::new().prefix("leasehold-").tempdir();
    created.map_err(file_error("creating a directory in", std::env::temp_dir()))
}

pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(file_error("writing", path))
}
