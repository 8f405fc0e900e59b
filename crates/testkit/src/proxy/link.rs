//! One connection through the proxy: bytes in both directions, under the rules in force.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, Scope},
    time::{Duration, Instant},
};

use super::{Afterwards, Mode, traffic::Traffic};
use crate::acceptor::lock;

const CHUNK: usize = 16 * 1024;

/// One client's connection, the connection to the server made for it, and what befell them.
pub(super) struct Link {
    client: TcpStream,
    server: TcpStream,
    traffic: Arc<Traffic>,
    /// What is to happen when the reply to a chosen command comes; none is delivered once this is set.
    fate: Mutex<Option<Afterwards>>,
    /// Whether a reply was dropped because of the mode.
    missed: AtomicBool,
    /// Whether the server's side was closed behind the client's back.
    dead: AtomicBool,
}

impl Link {
    pub(super) fn new(client: TcpStream, server: TcpStream, traffic: Arc<Traffic>) -> Self {
        let (missed, dead) = (AtomicBool::new(false), AtomicBool::new(false));
        Self {
            client,
            server,
            traffic,
            fate: Mutex::new(None),
            missed,
            dead,
        }
    }

    /// Carries bytes both ways until both sides have ended.
    pub(super) fn carry(&self) {
        let _ = self.server.set_nodelay(true);
        thread::scope(|scope| {
            scope.spawn(|| self.carry_replies(scope));
            self.carry_requests(scope);
        });
    }

    /// Closes the server's side and leaves the client in the belief that it is connected.
    pub(super) fn lose_server(&self) {
        self.dead.store(true, Ordering::SeqCst);
        let _ = self.server.shutdown(Shutdown::Both);
    }

    pub(super) fn has_missed_a_reply(&self) -> bool {
        self.missed.load(Ordering::SeqCst)
    }

    pub(super) fn cut(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }

    fn carry_requests<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        let mut way = Way::to(&self.server);
        let mut tail = Vec::new();
        let ended = self.read_all(&self.client, |bytes| {
            if self.dead.load(Ordering::SeqCst) {
                return Ok(());
            }
            let kept = self.traffic.overlap().min(tail.len());
            let mut window = tail.split_off(tail.len() - kept);
            window.extend_from_slice(bytes);
            if let Some(fate) = self.traffic.inspect(&window, bytes.len()) {
                *lock(&self.fate) = Some(fate);
            }
            tail = window;
            way.send(bytes, self.traffic.mode(), scope)
        });
        way.finish(if ended.is_ok() {
            Shutdown::Write
        } else {
            Shutdown::Both
        });
    }

    fn carry_replies<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        let mut way = Way::to(&self.client);
        let _ = self.read_all(&self.server, |bytes| {
            let fate = *lock(&self.fate);
            if let Some(fate) = fate {
                self.traffic.note_dropped_reply();
                return if fate == Afterwards::Cut {
                    Err(io::ErrorKind::ConnectionAborted.into())
                } else {
                    Ok(())
                };
            }
            let mode = self.traffic.mode();
            if mode == Mode::DropReplies {
                self.missed.store(true, Ordering::SeqCst);
            }
            if self.has_missed_a_reply() {
                Ok(())
            } else {
                way.send(bytes, mode, scope)
            }
        });
        if !self.dead.load(Ordering::SeqCst) {
            way.finish(Shutdown::Both);
        }
    }

    /// Hands on what comes from `source` until it ends; a black hole holds up even the end.
    fn read_all(
        &self,
        source: &TcpStream,
        mut deliver: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = (&mut &*source).read(&mut chunk);
            if !self.traffic.wait_while_blackholed() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            match read? {
                0 => return Ok(()),
                length => deliver(&chunk[..length])?,
            }
        }
    }
}

/// One direction of a link. Bytes are written at once unless some were ever delayed: from then on all pass through a
/// queue, which keeps their order and lets delays overlap as they do on a long wire.
struct Way<'scope> {
    destination: &'scope TcpStream,
    queue: Option<mpsc::Sender<(Instant, Parcel)>>,
}

enum Parcel {
    Bytes(Vec<u8>),
    End(Shutdown),
}

impl<'scope> Way<'scope> {
    fn to(destination: &'scope TcpStream) -> Self {
        Self {
            destination,
            queue: None,
        }
    }

    fn send(
        &mut self,
        bytes: &[u8],
        mode: Mode,
        scope: &'scope Scope<'scope, '_>,
    ) -> io::Result<()> {
        let delay = if let Mode::Delay(delay) = mode {
            delay
        } else {
            Duration::ZERO
        };
        if self.queue.is_none() {
            if delay.is_zero() {
                return (&mut &*self.destination).write_all(bytes);
            }
            let (sender, parcels) = mpsc::channel();
            let destination = self.destination;
            scope.spawn(move || deliver(destination, parcels));
            self.queue = Some(sender);
        }
        let parcel = (Instant::now() + delay, Parcel::Bytes(bytes.to_vec()));
        let queue = self.queue.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        queue
            .send(parcel)
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn finish(self, how: Shutdown) {
        match self.queue {
            Some(queue) => {
                let _ = queue.send((Instant::now(), Parcel::End(how)));
            }
            None => {
                let _ = self.destination.shutdown(how);
            }
        }
    }
}

fn deliver(mut destination: &TcpStream, parcels: mpsc::Receiver<(Instant, Parcel)>) {
    for (due, parcel) in parcels {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let delivered = match parcel {
            Parcel::Bytes(bytes) => destination.write_all(&bytes),
            Parcel::End(how) => destination.shutdown(how),
        };
        if delivered.is_err() {
            return;
        }
    }
}
