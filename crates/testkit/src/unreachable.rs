//! An address at which connecting neither succeeds nor fails.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::{
    error::{Error, Result, file_error},
    port::Port,
};

/// More than any kernel queues when it is asked to queue nothing.
const MOST_QUEUED: usize = 16;

/// A listener whose queue is full: the kernel drops further connection requests without a word, as a firewall or a
/// machine without power does.
#[derive(Debug)]
pub struct Unreachable {
    port: Port,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl Unreachable {
    /// Takes a free port of the loopback interface and makes it unreachable.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] on a system that goes on accepting.
    pub fn start() -> Result<Self> {
        let port = Port::reserve()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port.number()));
        let listener = port.listen()?;
        rustix::net::listen(&listener, 0)
            .map_err(std::io::Error::from)
            .map_err(file_error("listening on", address.to_string()))?;
        let mut queued = Vec::new();
        while queued.len() < MOST_QUEUED {
            match TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
                Ok(connection) => queued.push(connection),
                Err(_) => {
                    return Ok(Self {
                        port,
                        _listener: listener,
                        _queued: queued,
                    });
                }
            }
        }
        let reason = "the kernel queues connections without limit".to_owned();
        Err(Error::Unavailable {
            feature: "an unreachable address",
            reason,
        })
    }

    /// The unreachable port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Host and port, as `127.0.0.1:12345`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }
}
