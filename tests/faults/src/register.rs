//! What the leases protect: a store that remembers the greatest fence it has seen and refuses older ones.
//!
//! One line in, `<process> <operation> <resource> <fence>`; one line out, `ok` or `no <greatest fence>`.

use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use crate::history::{Event, Kind, Recorder, now};

/// A running register. It serves for as long as the process lives.
#[derive(Debug)]
pub struct Register {
    address: SocketAddr,
}

#[derive(Debug)]
struct Shelf {
    greatest: Mutex<HashMap<String, i64>>,
    recorder: Recorder,
}

impl Register {
    /// Starts listening on every address of the machine, and records what it decides.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub fn start(recorder: Recorder) -> io::Result<Self> {
        let listener = TcpListener::bind(("0.0.0.0", 0))?;
        let address = listener.local_addr()?;
        let shelf = Arc::new(Shelf {
            greatest: Mutex::default(),
            recorder,
        });
        thread::spawn(move || {
            for writer in listener.incoming().flatten() {
                let shelf = shelf.clone();
                thread::spawn(move || shelf.serve(&writer));
            }
        });
        Ok(Self { address })
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Shelf {
    fn serve(&self, stream: &TcpStream) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        for line in BufReader::new(stream).lines() {
            let answer = self.write(&line.ok()?)?;
            let mut stream = stream;
            stream.write_all(answer.as_bytes()).ok()?;
        }
        Some(())
    }

    fn write(&self, line: &str) -> Option<String> {
        let mut words = line.split(' ');
        let (process, operation, resource) =
            (words.next()?, words.next()?.parse().ok()?, words.next()?);
        let fence: i64 = words.next()?.parse().ok()?;
        let mut greatest = self.greatest.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = *greatest.get(resource).unwrap_or(&0);
        let (kind, answer) = if fence >= seen {
            greatest.insert(resource.to_owned(), fence);
            (Kind::WriteAccepted { fence }, "ok\n".to_owned())
        } else {
            (Kind::WriteRefused { fence, seen }, format!("no {seen}\n"))
        };
        // Under the lock, so that the history has the writes in their order.
        self.recorder.write(&Event {
            at: now(),
            process: process.to_owned(),
            operation,
            resource: resource.to_owned(),
            kind,
        });
        Some(answer)
    }
}
