//! One connection to one server.
//!
//! A connection is never repaired: when it ends, everything in flight on it fails at once with a
//! typed error, and its owner opens another. Every command has a deadline.

use std::pin::{Pin, pin};
use std::sync::Arc;
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

use crate::protocol::reply::Unexpected;
use crate::protocol::script::{Manner, ScriptCall};
pub(crate) use crate::transport::close_signal::CloseSignal;
use crate::transport::gathering::InFlight;
use crate::transport::limits::Bounded;
use crate::transport::login;
use crate::transport::server_errors::{self, Failure};
use crate::transport::tls::{self, TlsClient};
use crate::unavailable::{Cause, Unavailable, printable};

/// Requests that may wait to be sent. Who finds no room is woken once more, which costs 8 % with 256 tasks
/// and the 50 that the `redis` crate allows.
const UNSENT: usize = 1024;

/// How to open a connection.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionSettings {
    pub(crate) credentials: Credentials,
    pub(crate) database: u32,
    pub(crate) connect_timeout: Duration,
    pub(crate) command_timeout: Duration,
    pub(crate) client_name: Option<String>,
    pub(crate) tls: Option<TlsClient>,
}

/// An open connection; clones share it.
#[derive(Clone)]
pub(crate) struct Connection {
    node: Endpoint,
    multiplexed: MultiplexedConnection,
    command_timeout: Duration,
    ending: CloseSignal,
    in_flight: InFlight,
    /// Ends the driver task when the last clone is gone.
    _owner: Arc<DropGuard>,
}

impl Connection {
    /// Connects, authenticates and selects the database. `on_push` sees every message that the
    /// server sends unasked; it must not block.
    ///
    /// Cancel safe: a dropped attempt closes its socket.
    pub(crate) async fn open(
        node: &Endpoint,
        settings: &ConnectionSettings,
        ending: CloseSignal,
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
        ending: CloseSignal,
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
        ending: CloseSignal,
        on_push: impl Fn(PushInfo) + Send + Sync + 'static,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Self, Cause> {
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(None)
            .set_pipeline_buffer_size(UNSENT)
            .set_push_sender(move |message| -> Result<(), std::convert::Infallible> {
                on_push(message);
                Ok(())
            });
        let handshake = handshake(&login::current(&settings.credentials).await);
        let (mut multiplexed, driver) =
            MultiplexedConnection::new_with_config(&handshake, Bounded::new(stream), config)
                .await
                .map_err(|error| server_errors::handshake_error(&error))?;

        let shutdown = CancellationToken::new();
        let owner = Arc::new(shutdown.clone().drop_guard());
        let ended = ending.clone();
        let in_flight = InFlight::default();
        let requests = in_flight.clone();
        tokio::spawn(async move {
            // Dropping the driver fails all that is in flight.
            tokio::select! {
                () = shutdown.cancelled() => {}
                _ = ended.ended() => {}
                () = requests.drive(driver) => {}
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
        Ok(Self {
            node: node.clone(),
            multiplexed,
            command_timeout: settings.command_timeout,
            ending,
            in_flight,
            _owner: owner,
        })
    }

    pub(crate) fn node(&self) -> &Endpoint {
        &self.node
    }

    pub(crate) fn command_timeout(&self) -> Duration {
        self.command_timeout
    }

    pub(crate) fn close_signal(&self) -> &CloseSignal {
        &self.ending
    }

    /// Runs one command. An error reply is a failure.
    ///
    /// Cancel safe for the connection, not for the effect: a command that was sent is carried out.
    pub(crate) async fn run(&self, command: &Cmd) -> Result<Value, Failure> {
        let reply = self.send(command).await?;
        self.checked(reply)
    }

    /// Runs several commands in one go, within `limit`. Error replies stay values, one per command.
    pub(crate) async fn run_all(
        &self,
        commands: &Pipeline,
        limit: Duration,
    ) -> Result<Vec<Value>, Failure> {
        let count = commands.len();
        let mut multiplexed = self.multiplexed.clone();
        let replies = pin!(multiplexed.send_packed_commands(commands, 0, count));
        let replies = self.within(limit, replies).await?;
        if replies.len() == count {
            return Ok(replies);
        }
        Err(self.miscounted(replies.len(), count))
    }

    /// Asks several questions in one go, within `limit`. An error reply to any of them is a failure.
    pub(crate) async fn ask<const N: usize>(
        &self,
        questions: [&[&str]; N],
        limit: Duration,
    ) -> Result<[Value; N], Failure> {
        let answers = self.run_all(&pipeline(&questions), limit).await?;
        let answers = answers.into_iter().map(|answer| self.checked(answer));
        let answers: Vec<Value> = answers.collect::<Result<_, _>>()?;
        answers
            .try_into()
            .map_err(|answers: Vec<Value>| self.miscounted(answers.len(), N))
    }

    /// What a reply says, or the failure where the protocol does not know it.
    pub(crate) fn read<T>(&self, parsed: Result<T, Unexpected>) -> Result<T, Failure> {
        parsed
            .map_err(|unexpected| Failure::unknown(Unavailable::on(&self.node, unexpected.into())))
    }

    fn miscounted(&self, replies: usize, commands: usize) -> Failure {
        let detail = format!("{replies} replies to {commands} commands");
        Failure::unknown(Unavailable::on(self.node(), Cause::Protocol { detail }))
    }

    /// Runs a script, by its digest if the server knows it.
    pub(crate) async fn call(&self, call: &ScriptCall) -> Result<Value, Failure> {
        if call.is_asking() {
            return Box::pin(self.call_asking(call)).await;
        }
        let mut reply = self.send(&call.command(Manner::ByDigest)).await?;
        if server_errors::is_unknown_script(&reply) {
            reply = self.send(&call.command(Manner::Whole)).await?;
        }
        self.checked(reply)
    }

    /// Runs a script on a node that is importing its keys.
    async fn call_asking(&self, call: &ScriptCall) -> Result<Value, Failure> {
        let mut asking = redis::pipe();
        asking
            .cmd("ASKING")
            .add_command(call.command(Manner::Whole));
        let mut replies = self.run_all(&asking, self.command_timeout()).await?;
        self.checked(replies.pop().unwrap_or(Value::Nil))
    }

    pub(crate) async fn subscribe(&self, channels: &[&str]) -> Result<(), Failure> {
        let mut multiplexed = self.multiplexed.clone();
        let confirmed = pin!(multiplexed.subscribe(channels));
        self.within(self.command_timeout, confirmed).await
    }

    /// Runs one command. An error reply stays a value.
    async fn send(&self, command: &Cmd) -> Result<Value, Failure> {
        let mut multiplexed = self.multiplexed.clone();
        let reply = pin!(multiplexed.send_packed_command(command));
        self.within(self.command_timeout, reply).await
    }

    /// The reply is pinned by the caller: passed by value it would take its place twice in each future
    /// around it, all of which are moved.
    async fn within<T>(
        &self,
        limit: Duration,
        reply: Pin<&mut impl Future<Output = redis::RedisResult<T>>>,
    ) -> Result<T, Failure> {
        let failed = |cause| Unavailable::on(&self.node, cause);
        if self.ending.has_ended() {
            return Err(Failure::not_applied(failed(self.ending.cause())));
        }
        let _request = self.in_flight.begin();
        match timeout(limit, reply).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_)) if self.ending.has_ended() => {
                Err(Failure::unknown(failed(self.ending.cause())))
            }
            Ok(Err(error)) => {
                let (cause, outcome) = server_errors::command_error(&error);
                Err(Failure {
                    unavailable: failed(cause),
                    outcome,
                })
            }
            Err(_) => Err(Failure::unknown(failed(Cause::Timeout { after: limit }))),
        }
    }

    /// Turns an error reply into a failure that names the node.
    pub(crate) fn checked(&self, reply: Value) -> Result<Value, Failure> {
        match reply {
            Value::ServerError(error) => {
                let cause = server_errors::server_error(&error);
                Err(Failure::not_applied(Unavailable::on(self.node(), cause)))
            }
            reply => Ok(reply),
        }
    }
}

/// These commands, each as its words.
pub(crate) fn pipeline(commands: &[&[&str]]) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(commands.len());
    for words in commands {
        let mut command = Cmd::new();
        command.arg(*words);
        pipeline.add_command(command);
    }
    pipeline
}

fn handshake(credentials: &Credentials) -> RedisConnectionInfo {
    let mut info = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP3)
        .set_skip_set_lib_name();
    if let Some(password) = &credentials.password {
        info = info
            .set_username(&credentials.username)
            .set_password(password.reveal());
    }
    info
}

/// Judges the answer to `SELECT`. The `redis` crate's own would hide the error's code.
fn selected(answer: redis::RedisResult<Value>, database: u32) -> Result<(), Cause> {
    let cause = match answer {
        Ok(Value::ServerError(error)) => server_errors::server_error(&error),
        Ok(_) => return Ok(()),
        Err(error) => server_errors::handshake_error(&error),
    };
    Err(match cause {
        Cause::Server { detail } => Cause::NoDatabase { database, detail },
        cause => cause,
    })
}

/// Small writes are sent at once, a peer that vanished is noticed within seconds, and closing discards what
/// was not sent yet: a grant that the kernel delivered after a partition would belong to nobody.
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
