//! A client that lets a master send it the data, as backups and tools that follow the changes do.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    thread,
    time::Duration,
};

use crate::{
    error::{Error, Result},
    redis_server::RedisServer,
};

/// How long the master has to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two acknowledgements.
const PAUSE: Duration = Duration::from_millis(20);

/// Says that it has everything, whatever that is.
const ACKNOWLEDGED: &[u8] = b"REPLCONF ACK 9000000000000\r\n";

/// A connection that replicates from a master and has no port of its own, until it is dropped.
///
/// A master lists it among its replicas, `WAIT` counts what it acknowledges, and a Sentinel that sees it lists it for good,
/// at port 0. It keeps nothing, and nobody can promote it.
///
/// ```no_run
/// use leasehold_testkit::{Listener, RedisServer};
///
/// let master = RedisServer::start()?;
/// let listener = Listener::acknowledging(&master)?;
/// // … what is confirmed now? …
/// drop(listener);
/// # Ok::<(), leasehold_testkit::Error>(())
/// ```
#[derive(Debug)]
pub struct Listener {
    stream: TcpStream,
}

impl Listener {
    /// Only reads, like `redis-cli --replica`.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`] where the master does not answer or refuses.
    pub fn silent(master: &RedisServer) -> Result<Self> {
        let refused = |reason: String| Error::NotReady {
            server: format!("a listener to {}", master.address()),
            reason,
            log: String::new(),
        };
        Self::listen(master)
            .map_err(|error| refused(error.to_string()))?
            .ok_or_else(|| refused("PSYNC was refused".to_owned()))
    }

    /// Also claims all the time to have everything, as a tool may that pretends to be a replica.
    ///
    /// # Errors
    ///
    /// As [`Listener::silent`].
    pub fn acknowledging(master: &RedisServer) -> Result<Self> {
        let listener = Self::silent(master)?;
        if let Ok(mut stream) = listener.stream.try_clone() {
            thread::spawn(move || {
                while stream.write_all(ACKNOWLEDGED).is_ok() {
                    thread::sleep(PAUSE);
                }
            });
        }
        Ok(listener)
    }

    fn listen(master: &RedisServer) -> std::io::Result<Option<Self>> {
        let mut stream = TcpStream::connect(master.address())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let login = master.credentials();
        if let Some(password) = &login.password {
            let user = login.username.as_deref().unwrap_or("default");
            stream.write_all(format!("AUTH {user} {password}\r\n").as_bytes())?;
            if first_of_line(&mut stream)? != b'+' {
                return Ok(None);
            }
        }
        stream.write_all(b"PSYNC ? -1\r\n")?;
        if first_of_line(&mut stream)? != b'+' {
            return Ok(None);
        }
        stream.set_read_timeout(None)?;
        let mut data = stream.try_clone()?;
        thread::spawn(move || std::io::copy(&mut data, &mut std::io::sink()));
        Ok(Some(Self { stream }))
    }
}

/// Reads one line and returns what it begins with.
fn first_of_line(stream: &mut TcpStream) -> std::io::Result<u8> {
    let mut read = || {
        let mut byte = [0];
        stream.read_exact(&mut byte).map(|()| byte[0])
    };
    let first = read()?;
    while read()? != b'\n' {}
    Ok(first)
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
