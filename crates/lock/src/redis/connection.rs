//! One connection to one server, and its death.
//!
//! A connection is never mended: when it ends, everything in flight on it fails at once with a
//! typed error, and whoever owns it opens another. Every command has a deadline.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use leasehold_config::{Credentials, Endpoint};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, Pipeline, ProtocolVersion, PushInfo, RedisConnectionInfo, Value,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::batcher::Batcher;
use super::bounded::Bounded;
use super::classify::{self, Failure};
use super::deadlines::Deadlines;
use super::gathering::Gathering;
use super::invocation::Invocation;
use super::script::Manner;
use super::tls::{self, TlsClient};
use super::wire::Wire;
use crate::unavailable::{Cause, Unavailable, printable};

/// How to open a connection.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionSettings {
    pub(crate) credentials: Credentials,
    pub(crate) database: u32,
    pub(crate) connect_timeout: Duration,
    pub(crate) command_timeout: Duration,
    pub(crate) client_name: Option<String>,
    pub(crate) tls: Option<TlsClient>,
    /// Whether scripts for different resources may run as one: not in a cluster, where the keys of a
    /// script have one slot.
    pub(crate) batches: bool,
}

/// An open connection; clones share it.
#[derive(Clone)]
pub(crate) struct Connection {
    wire: Wire,
    batcher: Option<Arc<Batcher>>,
    /// Ends the driver task when the last clone is gone.
    _owner: Arc<DropGuard>,
}

/// The end of a connection, observable by all that depend on it. The first cause stays.
#[derive(Clone, Default)]
pub(crate) struct Ending {
    ended: CancellationToken,
    cause: Arc<OnceLock<Cause>>,
}

impl Ending {
    pub(crate) fn end(&self, cause: Cause) {
        let _ = self.cause.set(cause);
        self.ended.cancel();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.cause.get().is_some()
    }

    pub(crate) async fn ended(&self) -> Cause {
        self.ended.cancelled().await;
        self.cause()
    }

    pub(crate) fn cause(&self) -> Cause {
        self.cause.get().cloned().unwrap_or(Cause::Disconnected)
    }
}

impl Connection {
    /// Connects, authenticates and selects the database. `on_push` sees every message that the
    /// server sends unasked; it must not block.
    ///
    /// Cancel safe: a dropped attempt closes its socket.
    pub(crate) async fn open(
        node: &Endpoint,
        settings: &ConnectionSettings,
        ending: Ending,
        on_push: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<Self, Unavailable> {
        let limit = settings.connect_timeout;
        let opening = Self::open_unbounded(node, settings, ending, on_push);
        match timeout(limit, opening).await {
            Ok(opened) => opened.map_err(|cause| Unavailable::on(node, cause)),
            Err(_) => Err(Unavailable::on(
                node,
                Cause::ConnectTimeout { after: limit },
            )),
        }
    }

    async fn open_unbounded(
        node: &Endpoint,
        settings: &ConnectionSettings,
        ending: Ending,
        on_push: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<Self, Cause> {
        let stream = TcpStream::connect((node.host(), node.port()))
            .await
            .map_err(|error| connect_error(&error))?;
        tune(&stream).map_err(|error| connect_error(&error))?;
        let Some(tls) = &settings.tls else {
            return Self::log_in(node, settings, ending, on_push, stream)
                .await
                .map_err(|cause| match cause {
                    // Also what a TLS port does to a plain connection.
                    Cause::Disconnected => Cause::ClosedUnanswered,
                    cause => cause,
                });
        };
        // Half of the time is the handshake's, so that a port which does not speak TLS, and waits
        // for the end of a command instead, is told apart from a server that is silent.
        let limit = settings.connect_timeout / 2;
        let stream = match timeout(limit, tls.wrap(node, stream)).await {
            Ok(wrapped) => wrapped?,
            Err(_) => return Err(Cause::NoTlsAnswer { after: limit }),
        };
        let fault = tls::fault(&stream);
        Self::log_in(node, settings, ending, on_push, stream)
            .await
            .map_err(|cause| fault.cause().unwrap_or(cause))
    }

    /// Introduces itself on an open stream.
    pub(crate) async fn log_in(
        node: &Endpoint,
        settings: &ConnectionSettings,
        ending: Ending,
        on_push: impl Fn(PushInfo) + Send + Sync + 'static,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Self, Cause> {
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(None)
            .set_push_sender(move |message| -> Result<(), std::convert::Infallible> {
                on_push(message);
                Ok(())
            });
        let handshake = handshake(settings);
        let (mut multiplexed, driver) =
            MultiplexedConnection::new_with_config(&handshake, Bounded::new(stream), config)
                .await
                .map_err(|error| classify::handshake_error(&error))?;

        let deadlines = Deadlines::start(settings.command_timeout, ending.clone());
        let driver = Gathering::new(driver, deadlines.under_way());
        let shutdown = CancellationToken::new();
        let owner = Arc::new(shutdown.clone().drop_guard());
        let ended = ending.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = driver => {}
            }
            ended.end(Cause::Disconnected);
        });
        if settings.database != 0 {
            let select = multiplexed
                .send_packed_command(redis::cmd("SELECT").arg(settings.database))
                .await;
            selected(select, settings.database)?;
        }
        if let Some(name) = &settings.client_name {
            // A name is a courtesy to operators: a user without the permission goes without it.
            let _ = multiplexed
                .send_packed_command(redis::cmd("CLIENT").arg("SETNAME").arg(name))
                .await;
        }
        let wire = Wire {
            node: node.clone(),
            multiplexed,
            command_timeout: settings.command_timeout,
            ending,
            deadlines: Arc::new(deadlines),
        };
        Ok(Self {
            batcher: settings.batches.then(|| Batcher::start(wire.clone())),
            wire,
            _owner: owner,
        })
    }

    pub(crate) fn node(&self) -> &Endpoint {
        &self.wire.node
    }

    pub(crate) fn command_timeout(&self) -> Duration {
        self.wire.command_timeout
    }

    pub(crate) fn ending(&self) -> &Ending {
        &self.wire.ending
    }

    /// Runs one command. An error reply is a failure.
    ///
    /// Cancel safe for the connection, not for the effect: a command that was sent is carried out.
    pub(crate) async fn run(&self, command: &Cmd) -> Result<Value, Failure> {
        let reply = self.wire.send(command).await?;
        self.checked(reply)
    }

    /// Runs several commands in one go, within `limit`. Error replies stay values, one per command.
    pub(crate) async fn run_all(
        &self,
        commands: &Pipeline,
        limit: Duration,
    ) -> Result<Vec<Value>, Failure> {
        let replies = self.wire.send_all(commands, limit).await?;
        let count = commands.len();
        if replies.len() == count {
            return Ok(replies);
        }
        let detail = format!("{} replies to {count} commands", replies.len());
        Err(Failure::unknown(Unavailable::on(
            self.node(),
            Cause::Protocol { detail },
        )))
    }

    /// Runs a script, in a batch with others that are ready at the same time.
    pub(crate) async fn call(&self, invocation: &Invocation) -> Result<Value, Failure> {
        if invocation.is_asking() {
            return self.call_asking(invocation).await;
        }
        if let Some(batcher) = &self.batcher
            && let Some(place) = batcher.enter(invocation)
            && let Some(reply) = batcher.reply(place).await?
            && !is_unknown(&reply)
        {
            return self.checked(reply);
        }
        self.call_alone(invocation).await
    }

    /// Runs a script, by its digest if the server knows it.
    async fn call_alone(&self, invocation: &Invocation) -> Result<Value, Failure> {
        let by_digest = invocation.command(Manner::ByDigest);
        let mut reply = self.wire.send(&by_digest).await?;
        if is_unknown(&reply) {
            let whole = invocation.command(Manner::Whole);
            reply = self.wire.send(&whole).await?;
        }
        self.checked(reply)
    }

    /// Runs a script on a node that is importing its keys.
    async fn call_asking(&self, invocation: &Invocation) -> Result<Value, Failure> {
        let mut asking = redis::pipe();
        asking
            .cmd("ASKING")
            .add_command(invocation.command(Manner::Whole));
        let mut replies = self.run_all(&asking, self.command_timeout()).await?;
        self.checked(replies.pop().unwrap_or(Value::Nil))
    }

    pub(crate) async fn subscribe(&self, channels: &[&str]) -> Result<(), Failure> {
        self.wire.subscribe(channels).await
    }

    /// Turns an error reply into a failure that names the node.
    pub(crate) fn checked(&self, reply: Value) -> Result<Value, Failure> {
        match reply {
            Value::ServerError(error) => {
                let cause = classify::server_error(&error);
                Err(Failure::not_applied(Unavailable::on(self.node(), cause)))
            }
            reply => Ok(reply),
        }
    }
}

/// Whether the server does not know the script.
fn is_unknown(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(error) if classify::is_no_script(error))
}

fn handshake(settings: &ConnectionSettings) -> RedisConnectionInfo {
    let mut info = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP3)
        .set_skip_set_lib_name();
    if let Some(password) = &settings.credentials.password {
        info = info
            .set_username(&settings.credentials.username)
            .set_password(password.reveal());
    }
    info
}

/// Judges the answer to `SELECT`. The `redis` crate's own would hide the error's code.
fn selected(answer: redis::RedisResult<Value>, database: u32) -> Result<(), Cause> {
    let cause = match answer {
        Ok(Value::ServerError(error)) => classify::server_error(&error),
        Ok(_) => return Ok(()),
        Err(error) => classify::handshake_error(&error),
    };
    Err(match cause {
        Cause::Server { detail } => Cause::NoDatabase { database, detail },
        cause => cause,
    })
}

/// Small writes go out at once, a peer that vanished is noticed within seconds, and a connection
/// that was given up delivers nothing any more: a grant that the kernel went on sending after a
/// partition would belong to nobody.
fn tune(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    socket.set_linger(Some(Duration::ZERO))?;
    socket.set_tcp_keepalive(
        &socket2::TcpKeepalive::new()
            .with_time(Duration::from_secs(5))
            .with_interval(Duration::from_secs(1)),
    )?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(Duration::from_secs(3)))?;
    Ok(())
}

fn connect_error(error: &std::io::Error) -> Cause {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => Cause::Refused,
        _ => Cause::Unreachable {
            detail: printable(&error.to_string()),
        },
    }
}
