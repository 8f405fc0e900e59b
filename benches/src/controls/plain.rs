//! Locks whose release wakes every waiter, which all try at once: told by a message as Redisson's,
//! or by client tracking as rueidislock's.

use std::sync::Arc;
use std::time::Duration;

use leasehold_testkit::RedisServer;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, PushInfo, Script, Value};
use tokio::sync::Notify;

use crate::Result;
use crate::controls::bare;

/// As long as our own default.
const TTL_MS: u64 = 30_000;
/// A message may go missing.
const AT_THE_LATEST: Duration = Duration::from_secs(5);

/// How waiters hear of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// The releasing script publishes, every waiter is subscribed.
    Publish,
    /// The server reports every change of the keys with the lock's prefix.
    Tracking,
}

/// One client with a connection of its own.
pub struct Plain {
    connection: MultiplexedConnection,
    freed: Arc<Notify>,
    release: Script,
    key: String,
    channel: String,
}

impl Plain {
    /// Connects and listens.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn connect(server: &RedisServer, resource: &str, wake: Wake) -> Result<Self> {
        let freed = Arc::new(Notify::new());
        let on_push = {
            let freed = freed.clone();
            move |push: PushInfo| -> Result<(), std::convert::Infallible> {
                use redis::PushKind::{Invalidate, Message};
                if matches!(push.kind, Message | Invalidate) {
                    freed.notify_one();
                }
                Ok(())
            }
        };
        let config = AsyncConnectionConfig::new().set_push_sender(on_push);
        let mut connection = bare::connect_with(server, config).await?;
        let channel = format!("{resource}:freed");
        match wake {
            Wake::Publish => connection.subscribe(&channel).await?,
            Wake::Tracking => {
                let mut tracking = redis::cmd("CLIENT");
                tracking
                    .arg("TRACKING")
                    .arg("ON")
                    .arg("BCAST")
                    .arg("PREFIX")
                    .arg(resource);
                tracking
                    .arg("NOLOOP")
                    .query_async::<()>(&mut connection)
                    .await?;
            }
        }
        let release = Script::new(match wake {
            Wake::Publish => {
                "if redis.call('GET', KEYS[1]) == ARGV[1] then \
                 redis.call('DEL', KEYS[1]) redis.call('PUBLISH', ARGV[2], 'freed') return 1 \
                 end return 0"
            }
            Wake::Tracking => {
                "if redis.call('GET', KEYS[1]) == ARGV[1] then \
                 return redis.call('DEL', KEYS[1]) end return 0"
            }
        });
        Ok(Self {
            connection,
            freed,
            release,
            key: resource.to_owned(),
            channel,
        })
    }

    /// Tries, and again whenever something may have been freed. Returns the token.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn acquire(&self) -> Result<String> {
        let mut connection = self.connection.clone();
        let token = format!("{:032x}", fastrand::u128(..));
        let mut set = redis::cmd("SET");
        set.arg(&self.key)
            .arg(&token)
            .arg("NX")
            .arg("PX")
            .arg(TTL_MS);
        loop {
            if set.query_async::<Value>(&mut connection).await? == Value::Okay {
                return Ok(token);
            }
            let _ = tokio::time::timeout(AT_THE_LATEST, self.freed.notified()).await;
        }
    }

    /// Compares and deletes.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn release(&self, token: &str) -> Result<()> {
        let mut connection = self.connection.clone();
        let mut release = self.release.key(&self.key);
        release
            .arg(token)
            .arg(&self.channel)
            .invoke_async::<()>(&mut connection)
            .await?;
        Ok(())
    }
}
