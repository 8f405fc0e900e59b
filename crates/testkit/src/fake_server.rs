//! A stand-in for a server that says what the test wants to hear.

use std::{
    io::{self, BufReader},
    net::TcpStream,
    sync::{Arc, Mutex},
    thread,
};

use crate::{
    acceptor::{Acceptor, lock},
    error::Result,
    resp::{Reply, Request},
};

mod session;

pub use session::Session;

type Handler = dyn Fn(&Request, &Session) -> Reply + Send + Sync;

/// A listener on a free port of the loopback interface that speaks as much of the protocol as it is told to.
///
/// ```
/// use leasehold_testkit::{FakeServer, Reply};
///
/// let server = FakeServer::with(|request, _| {
///     if request.is("SET") { Reply::error("READONLY You can't write against a read only replica.") } else { Reply::Usual }
/// })?;
/// let mut client = redis::Client::open(server.url()).and_then(|client| client.get_connection())?;
/// let outcome: redis::RedisResult<()> = redis::cmd("SET").arg("key").arg("value").query(&mut client);
/// assert_eq!(outcome.unwrap_err().code(), Some("READONLY"));
/// assert_eq!(server.count("SET key"), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FakeServer {
    acceptor: Acceptor,
    received: Arc<Mutex<Vec<Request>>>,
    sessions: Arc<Mutex<Vec<Session>>>,
}

impl FakeServer {
    /// A server that answers each command as `handler` says.
    ///
    /// # Errors
    ///
    /// [`Error::NoFreePort`](crate::Error::NoFreePort) when it finds none to listen on.
    pub fn with(
        handler: impl Fn(&Request, &Session) -> Reply + Send + Sync + 'static,
    ) -> Result<Self> {
        let handler: Arc<Handler> = Arc::new(handler);
        Self::serve(move |connection, received, sessions| {
            let _ = converse(&connection, &*handler, received, sessions);
        })
    }

    /// A server that accepts connections and never says a word.
    ///
    /// # Errors
    ///
    /// Those of [`with`](Self::with).
    pub fn mute() -> Result<Self> {
        Self::with(|_, _| Reply::Silence)
    }

    /// A server that answers every command with the same bytes, whatever they are.
    ///
    /// # Errors
    ///
    /// Those of [`with`](Self::with).
    pub fn garbage(bytes: impl Into<Vec<u8>>) -> Result<Self> {
        let bytes = bytes.into();
        Self::with(move |_, _| Reply::Raw(bytes.clone()))
    }

    /// A server that closes every connection as soon as it is made.
    ///
    /// # Errors
    ///
    /// Those of [`with`](Self::with).
    pub fn closing() -> Result<Self> {
        Self::serve(|_, _, _| {})
    }

    fn serve(
        conversation: impl Fn(TcpStream, &Mutex<Vec<Request>>, &Mutex<Vec<Session>>)
        + Send
        + Sync
        + 'static,
    ) -> Result<Self> {
        let received = Arc::new(Mutex::new(Vec::new()));
        let sessions = Arc::new(Mutex::new(Vec::new()));
        let (log, guests) = (received.clone(), sessions.clone());
        let acceptor = Acceptor::start(move |connection| conversation(connection, &log, &guests))?;
        Ok(Self {
            acceptor,
            received,
            sessions,
        })
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.acceptor.port()
    }

    /// Host and port, as `127.0.0.1:12345`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// A `redis://` URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.acceptor.accepted()
    }

    /// How many connections are open now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.acceptor.open_now()
    }

    /// All commands received so far, on all connections, in the order of their arrival.
    #[must_use]
    pub fn received(&self) -> Vec<Request> {
        lock(&self.received).clone()
    }

    /// How many of the commands received so far begin with these words, in any case; all, when there are none.
    #[must_use]
    pub fn count(&self, beginning: &str) -> usize {
        lock(&self.received)
            .iter()
            .filter(|request| request.is(beginning))
            .count()
    }

    /// Sends a message to all subscribers of a channel and returns how many there were.
    pub fn publish(&self, channel: &str, message: &str) -> usize {
        let subscribers: Vec<Session> = lock(&self.sessions).clone();
        let push = Reply::Push(vec![
            Reply::text("message"),
            Reply::text(channel),
            Reply::text(message),
        ]);
        let subscribers = subscribers
            .iter()
            .filter(|session| session.channels().contains(channel));
        subscribers
            .filter(|session| session.send(&push).is_ok())
            .count()
    }

    /// Closes all open connections now.
    pub fn cut(&self) {
        self.acceptor.cut();
    }

    /// Refuses connections from now on, and closes the open ones.
    pub fn stop(&self) {
        self.acceptor.close();
        self.acceptor.cut();
    }

    /// Accepts connections again after [`stop`](Self::stop).
    ///
    /// # Errors
    ///
    /// [`Error::File`](crate::Error::File) when the port was taken by another in the meantime.
    pub fn resume(&self) -> Result<()> {
        self.acceptor.open()
    }
}

impl std::fmt::Debug for FakeServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("FakeServer")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

fn converse(
    connection: &TcpStream,
    handler: &Handler,
    received: &Mutex<Vec<Request>>,
    sessions: &Mutex<Vec<Session>>,
) -> io::Result<()> {
    let session = Session::new(connection.try_clone()?);
    lock(sessions).push(session.clone());
    let mut input = BufReader::new(connection);
    let outcome = loop {
        let request = match Request::read(&mut input) {
            Ok(Some(request)) => request,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        if request.bytes().is_empty() {
            continue;
        }
        lock(received).push(request.clone());
        let mut reply = handler(&request, &session);
        while let Reply::After(delay, later) = reply {
            thread::sleep(delay);
            reply = *later;
        }
        if reply == Reply::Usual {
            reply = session::usual(&request, &session);
        }
        if reply == Reply::Close {
            break Ok(());
        }
        if let Err(error) = session.send(&reply) {
            break Err(error);
        }
    };
    lock(sessions).retain(|other| !other.is(&session));
    outcome
}
