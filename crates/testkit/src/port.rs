//! Ports that stay ours while their server is dead.
//!
//! A port given out by the kernel (bind to port 0) lies in the range from which outgoing connections take theirs. While
//! a killed server's port is free, some client may take it, and the server cannot be restarted; a client that keeps
//! dialling it may even connect to itself. So ports are drawn below that range, and each is held by a lock on a file
//! that all test processes of this user share, which the kernel lifts when the process dies.

use std::{
    collections::hash_map::RandomState,
    env,
    fs::{self, File, OpenOptions},
    hash::{BuildHasher, Hasher},
    io,
    net::TcpListener,
    path::PathBuf,
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};

use crate::error::{Error, Result, file_error};
use crate::wait::wait_for;

const FIRST: u16 = 10_000;

/// How long a port that is ours may still be in the hands of a process that is being started.
const BEING_STARTED: Duration = Duration::from_secs(5);

/// A cluster node also listens on its port plus this much.
pub(crate) const BUS_OFFSET: u16 = 10_000;

/// So that a port and its cluster bus both lie below the usual start of the outgoing range, 32768.
const LAST: u16 = 21_999;

/// A port that no other test of this user will be given until this is dropped.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _held: Option<File>,
}

impl Port {
    /// Takes a free port, starting the search at a random place.
    pub(crate) fn reserve() -> Result<Self> {
        let range = u64::from(LAST - FIRST + 1);
        let start = random();
        for step in 0..range {
            let offset = u16::try_from((start.wrapping_add(step)) % range).unwrap_or_default();
            let number = FIRST + offset;
            let Some(held) = hold(&number.to_string())? else {
                continue;
            };
            if free(number) && free(number + BUS_OFFSET) {
                return Ok(Self {
                    number,
                    _held: Some(held),
                });
            }
        }
        Err(Error::NoFreePort {
            first: FIRST,
            last: LAST,
        })
    }

    /// A port that the caller chose and vouches for.
    pub(crate) fn chosen(number: u16) -> Self {
        Self {
            number,
            _held: None,
        }
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Listens on the loopback interface.
    ///
    /// A process that was being started while the port was looked at has a copy of that socket until it
    /// runs its own program; nobody else has the port, so it is waited for.
    pub(crate) fn listen(&self) -> Result<TcpListener> {
        let address = format!("127.0.0.1:{}", self.number);
        let bind = || match TcpListener::bind(&address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
            bound => Ok(bound),
        };
        let bound = wait_for(format!("a socket on {address}"), BEING_STARTED, bind)?;
        bound.map_err(file_error("listening on", address))
    }
}

fn free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// A name that no other test of this user holds, until the file is dropped; `None` when one does.
pub(crate) fn hold(name: &str) -> Result<Option<File>> {
    let path = directory()?.join(name);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = file.map_err(file_error("opening", path))?;
    Ok(flock(&file, FlockOperation::NonBlockingLockExclusive)
        .is_ok()
        .then_some(file))
}

pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn directory() -> Result<PathBuf> {
    let user = rustix::process::getuid().as_raw();
    let path = env::temp_dir().join(format!("leasehold-ports-{user}"));
    fs::create_dir_all(&path).map_err(file_error("creating", &path))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_port_is_listened_on_once_the_copy_of_its_socket_is_closed() {
        let port = Port::reserve().expect("a port");
        let copy = TcpListener::bind(("127.0.0.1", port.number())).expect("a socket");
        let closing = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            drop(copy);
        });
        port.listen().expect("the socket");
        closing.join().expect("the thread");
    }
}
