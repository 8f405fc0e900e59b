//! One connection to a stand-in: what the client has agreed on and subscribed to.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    net::TcpStream,
    sync::{Arc, Mutex},
};

use crate::{
    acceptor::lock,
    resp::{Protocol, Reply, Request},
};

/// One client's connection, as seen by a handler.
#[derive(Debug, Clone)]
pub struct Session {
    state: Arc<Mutex<SessionState>>,
    /// Held by the writer, so that a pushed message does not land inside a reply.
    output: Arc<Mutex<TcpStream>>,
}

#[derive(Debug)]
struct SessionState {
    protocol: Protocol,
    authenticated: bool,
    channels: BTreeSet<String>,
}

impl Session {
    pub(super) fn new(output: TcpStream) -> Self {
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

    /// Whether this is the same connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
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

    fn set_protocol(&self, protocol: Protocol) {
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

/// What a server that requires no password and holds no data would answer.
pub(super) fn usual(request: &Request, session: &Session) -> Reply {
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
