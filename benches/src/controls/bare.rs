//! The limit: the bare `redis` crate sending the same commands with the same arguments. It keeps no
//! lease, has no deadline and no queue, and reads no reply.

use std::sync::atomic::{AtomicU64, Ordering};

use leasehold_testkit::RedisServer;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, ProtocolVersion};

use crate::tap::{Request, Template, Word};
use crate::{Error, Result};

static TOKENS: AtomicU64 = AtomicU64::new(1);

/// A connection over which the recorded commands are sent again.
#[derive(Clone)]
pub struct Bare {
    connection: MultiplexedConnection,
    requests: Vec<Request>,
}

impl Bare {
    /// Uses `connection` for this resource.
    #[must_use]
    pub fn new(connection: &MultiplexedConnection, template: &Template, resource: &str) -> Self {
        Self {
            connection: connection.clone(),
            requests: template.requests(resource),
        }
    }

    /// Sends each request and waits for its replies.
    ///
    /// # Errors
    ///
    /// When the server refuses a command.
    pub async fn pair(&mut self) -> Result<()> {
        let token = TOKENS.fetch_add(1, Ordering::Relaxed);
        for request in &self.requests {
            let mut commands = redis::pipe();
            for words in request {
                commands.add_command(command(words, token));
            }
            let replies = self
                .connection
                .send_packed_commands(&commands, 0, commands.len());
            for reply in replies.await? {
                if let redis::Value::ServerError(error) = reply {
                    return Err(Error::from(error.to_string()));
                }
            }
        }
        Ok(())
    }
}

fn command(words: &[Word], token: u64) -> Cmd {
    let mut command = Cmd::new();
    for word in words {
        match word {
            Word::Fixed(word) => command.arg(word),
            Word::Token(owner) => command.arg(format!("{owner}{token:032x}")),
        };
    }
    command
}

/// An ordinary connection without any timeout.
///
/// # Errors
///
/// When the server does not answer.
pub async fn connect(server: &RedisServer) -> Result<MultiplexedConnection> {
    connect_with(server, AsyncConnectionConfig::new()).await
}

/// As [`connect`], to the server at a URL.
///
/// # Errors
///
/// When the server does not answer.
pub async fn connect_to(url: &str) -> Result<MultiplexedConnection> {
    open(url, AsyncConnectionConfig::new()).await
}

/// As [`connect`], with a configuration of its own.
///
/// # Errors
///
/// When the server does not answer.
pub async fn connect_with(
    server: &RedisServer,
    config: AsyncConnectionConfig,
) -> Result<MultiplexedConnection> {
    open(&server.url(), config).await
}

async fn open(url: &str, config: AsyncConnectionConfig) -> Result<MultiplexedConnection> {
    let info: redis::ConnectionInfo = redis::IntoConnectionInfo::into_connection_info(url)?;
    let settings = info
        .redis_settings()
        .clone()
        .set_protocol(ProtocolVersion::RESP3);
    let client = Client::open(info.set_redis_settings(settings))?;
    let config = config.set_response_timeout(None);
    Ok(client
        .get_multiplexed_async_connection_with_config(&config)
        .await?)
}
