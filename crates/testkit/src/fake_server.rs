//! A stand-in for a server that says what the test wants to hear.

use std::{
    collections::BTreeSet,
    io::{self, BufReader, Write},
    net::TcpStream,
    sync::{Arc, Mutex},
    thread,
};

use crate::{
    acceptor::{Acceptor, lock},
    error::Result,
    resp::{Protocol, Reply, Request},
};

/// One client's connection, as seen by a handler.
#[derive(Debug, Clone)]
pub struct Session {
    state: Arc<Mutex<SessionState>>,
    /// Held by whoever writes, so that a pushed message does not land inside a reply.
    output: Arc<Mutex<TcpStream>>,
}

#[derive(Debug)]
struct SessionState {
    protocol: Protocol,
    authenticated: bool,
    channels: BTreeSet<String>,
}

impl Session {
    fn new(output: TcpStream) -> Self {
        let state = SessionState {
            protocol: Protocol::Resp2,
            authenticated: false,
            channels: BTreeSet::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            output: Arc::new(Mutex::new(output)),
        }
    }

    /// The protocol version that the client has asked for.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        lock(&self.state).protocol
    }

    /// Whether [`set_authenticated`](Self::set_authenticated) was called on this connection.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        lock(&self.state).authenticated
    }

    /// Remembers, for this connection, that the client has shown the right password.
    pub fn set_authenticated(&self) {
        lock(&self.state).authenticated = true;
    }

    /// The channels that the client has subscribed to.
    #[must_use]
    pub fn channels(&self) -> BTreeSet<String> {
        lock(&self.state).channels.clone()
    }

    pub(crate) fn set_protocol(&self, protocol: Protocol) {
        lock(&self.state).protocol = protocol;
    }

    /// Adds channels and gives the replies that the client expects.
    fn subscribe(&self, request: &Request) -> Reply {
        let mut state = lock(&self.state);
        let mut replies = Vec::new();
        for channel in request.words().into_iter().skip(1) {
            state.channels.insert(channel.clone());
            replies.push(subscription(
                "subscribe",
                Reply::text(channel),
                state.channels.len(),
            ));
        }
        Reply::Several(replies)
    }

    /// Removes channels, all when none is named, and gives the replies that the client expects.
    fn unsubscribe(&self, request: &Request) -> Reply {
        let mut state = lock(&self.state);
        let mut leaving: Vec<String> = request.words().into_iter().skip(1).collect();
        if leaving.is_empty() {
            leaving.extend(state.channels.iter().cloned());
        }
        if leaving.is_empty() {
            return subscription("unsubscribe", Reply::Nil, 0);
        }
        let mut replies = Vec::new();
        for channel in leaving {
            state.channels.remove(&channel);
            replies.push(subscription(
                "unsubscribe",
                Reply::text(channel),
                state.channels.len(),
            ));
        }
        Reply::Several(replies)
    }

    /// Sends something that no command asked for.
    ///
    /// # Errors
    ///
    /// When the client is gone.
    pub fn send(&self, reply: &Reply) -> io::Result<()> {
        let mut bytes = Vec::new();
        reply.encode(self.protocol(), &mut bytes);
        lock(&self.output).write_all(&bytes)
    }
}

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
            reply = usual(&request, &session);
        }
        if reply == Reply::Close {
            break Ok(());
        }
        if let Err(error) = session.send(&reply) {
            break Err(error);
        }
    };
    lock(sessions).retain(|other| !Arc::ptr_eq(&other.state, &session.state));
    outcome
}

/// What a server that requires no password and holds no data would answer.
fn usual(request: &Request, session: &Session) -> Reply {
    match request.word(0).to_ascii_uppercase().as_str() {
        "HELLO" => hello(request, session),
        "PING" if request.bytes().len() > 1 => Reply::text(request.word(1)),
        "PING" => Reply::Status("PONG".to_owned()),
        "AUTH" | "SELECT" | "CLIENT" | "QUIT" | "RESET" => Reply::ok(),
        "SUBSCRIBE" => session.subscribe(request),
        "UNSUBSCRIBE" => session.unsubscribe(request),
        // Nobody can have subscribed to a pattern, since that command is unknown here.
        "PUNSUBSCRIBE" => subscription("punsubscribe", Reply::Nil, session.channels().len()),
        verb => Reply::error(format!("ERR unknown command '{verb}'")),
    }
}

fn subscription(verb: &str, channel: Reply, count: usize) -> Reply {
    Reply::Push(vec![
        Reply::text(verb),
        channel,
        Reply::Integer(i64::try_from(count).unwrap_or(i64::MAX)),
    ])
}

fn hello(request: &Request, session: &Session) -> Reply {
    match request.word(1).as_str() {
        "3" => session.set_protocol(Protocol::Resp3),
        "2" | "" => session.set_protocol(Protocol::Resp2),
        _ => return Reply::error("NOPROTO unsupported protocol version"),
    }
    let version = if session.protocol() == Protocol::Resp3 {
        3
    } else {
        2
    };
    let field = |name: &str, value: Reply| (Reply::text(name), value);
    Reply::Map(vec![
        field("server", Reply::text("redis")),
        field("version", Reply::text("7.0.15")),
        field("proto", Reply::Integer(version)),
        field("id", Reply::Integer(1)),
        field("mode", Reply::text("standalone")),
        field("role", Reply::text("master")),
        field("modules", Reply::Array(Vec::new())),
    ])
}
