//! One data node: standalone, master or replica.

use std::{fmt, fs, ops::Deref, time::Duration};

use redis::Value;

use crate::{
    clock,
    error::{Result, file_error},
    process::ServerProcess,
    wait,
};

mod builder;

pub use builder::RedisServerBuilder;

/// What a server says it is, by `ROLE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Accepts writes.
    Master,
    /// Follows a master.
    Replica,
    /// Watches masters and holds no data.
    Sentinel,
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Master => "master",
            Self::Replica => "replica",
            Self::Sentinel => "sentinel",
        })
    }
}

/// A `redis-server` of its own on a free port of the loopback interface.
///
/// By default it keeps nothing on disk, so that a restart is an empty restart; ask for
/// [`append_only`](RedisServerBuilder::append_only) or [`persistence`](RedisServerBuilder::persistence) where the test
/// is about surviving one.
///
/// Everything about the process itself (kill, pause, restart, commands) comes from [`ServerProcess`].
///
/// ```no_run
/// use leasehold_testkit::RedisServer;
///
/// let server = RedisServer::start()?;
/// server.command(&["SET", "greeting", "hello"])?;
/// server.pause()?;
/// server.resume()?;
/// server.kill();
/// # Ok::<(), leasehold_testkit::Error>(())
/// ```
#[derive(Debug)]
pub struct RedisServer {
    process: ServerProcess,
}

impl RedisServer {
    /// Starts a server with nothing special about it.
    ///
    /// # Errors
    ///
    /// [`Error::MissingBinary`](crate::Error::MissingBinary) without Redis on the machine,
    /// [`Error::NotReady`](crate::Error::NotReady) when it does not come up.
    pub fn start() -> Result<Self> {
        Self::builder().start()
    }

    /// Describes a server before it is started.
    #[must_use]
    pub fn builder() -> RedisServerBuilder {
        RedisServerBuilder::default()
    }

    pub(crate) fn of(process: ServerProcess) -> Self {
        Self { process }
    }

    /// Starts the process again with its data files removed, killing it first if it lives.
    ///
    /// # Errors
    ///
    /// Those of [`restart`](ServerProcess::restart), and [`Error::File`](crate::Error::File) when the data cannot be removed.
    pub fn restart_empty(&self) -> Result<()> {
        self.kill();
        for name in ["dump.rdb", "appendonly.aof"] {
            let path = self.directory().join(name);
            if path.exists() {
                fs::remove_file(&path).map_err(file_error("removing", path))?;
            }
        }
        let path = self.directory().join("appendonlydir");
        if path.exists() {
            fs::remove_dir_all(&path).map_err(file_error("removing", path))?;
        }
        self.restart()
    }

    /// Starts the process again on another port with what it kept on disk, killing it first if it lives. Its former port
    /// is free for others.
    ///
    /// # Errors
    ///
    /// Those of [`restart`](ServerProcess::restart).
    pub fn move_to_another_port(&self) -> Result<()> {
        self.process.move_to_another_port("redis.conf")
    }

    /// What the server says it is.
    ///
    /// # Errors
    ///
    /// Those of [`command`](ServerProcess::command).
    pub fn role(&self) -> Result<Role> {
        let reply = self.command(&["ROLE"])?;
        let word = reply
            .as_sequence()
            .and_then(|parts| parts.first())
            .and_then(crate::client::text);
        match word.as_deref() {
            Some("master") => Ok(Role::Master),
            Some("slave") => Ok(Role::Replica),
            Some("sentinel") => Ok(Role::Sentinel),
            _ => Err(self.odd("ROLE", &reply)),
        }
    }

    /// Waits until the server says that it is `role`.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout) when it does not `within` the given time.
    pub fn wait_for_role(&self, role: Role, within: Duration) -> Result<()> {
        wait::wait_for(
            format!("{} to be {role}", self.name()),
            within,
            || match self.role() {
                Ok(seen) if seen == role => Ok(()),
                Ok(seen) => Err(format!("it is {seen}")),
                Err(error) => Err(error.to_string()),
            },
        )
    }

    /// The port of the master that this server follows over a working link; `None` for a master or a broken link.
    ///
    /// # Errors
    ///
    /// Those of [`command`](ServerProcess::command).
    pub fn follows(&self) -> Result<Option<u16>> {
        let fields = self.info("replication")?;
        let linked = fields
            .get("master_link_status")
            .is_some_and(|status| status == "up");
        Ok(fields
            .get("master_port")
            .filter(|_| linked)
            .and_then(|port| port.parse().ok()))
    }

    /// Moves a key to another server (`MIGRATE`), where the kit logs in as it does here.
    ///
    /// # Errors
    ///
    /// Those of [`command`](ServerProcess::command).
    pub fn migrate(&self, key: &str, to: &RedisServer) -> Result<()> {
        let port = to.port().to_string();
        let mut words = vec!["MIGRATE", to.host(), &port, key, "0", "5000"];
        let credentials = self.credentials();
        match (&credentials.username, &credentials.password) {
            (Some(username), Some(password)) => words.extend(["AUTH2", username, password]),
            (None, Some(password)) => words.extend(["AUTH", password]),
            _ => {}
        }
        match self.command(&words)? {
            Value::Okay => Ok(()),
            other => Err(self.odd("MIGRATE", &other)),
        }
    }

    /// Waits until as many replicas as given have received everything written so far.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout) when they have not `within` the given time, and those of
    /// [`command`](ServerProcess::command).
    pub fn wait_for_replicas(&self, replicas: usize, within: Duration) -> Result<()> {
        let fields = self.info("replication")?;
        let written = offset_in(fields.get("master_repl_offset").map(String::as_str));
        wait::wait_for(
            format!("{replicas} replicas of {}", self.name()),
            within,
            || {
                let in_step = self
                    .replicas_at(written)
                    .map_err(|error| error.to_string())?;
                if in_step >= replicas {
                    Ok(())
                } else {
                    Err(format!("{in_step} are in step"))
                }
            },
        )
    }

    /// How many replicas have confirmed that they received everything up to this offset. The offset itself goes on
    /// growing, with pings and messages, and replicas confirm once a second.
    fn replicas_at(&self, written: u64) -> Result<usize> {
        let fields = self.info("replication")?;
        let replicas = fields.iter().filter(|(name, _)| name.starts_with("slave"));
        Ok(replicas
            .filter(|(_, value)| {
                let offset = value
                    .split(',')
                    .find_map(|part| part.strip_prefix("offset="));
                value.contains("state=online") && offset_in(offset) >= written
            })
            .count())
    }

    /// Sets the server's wall clock to real time plus this many milliseconds, from now on and over restarts.
    ///
    /// Its monotonic clocks are not touched, nor are those of any other process.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`](crate::Error::Unavailable) for a server started without
    /// [`clock_shim`](RedisServerBuilder::clock_shim).
    pub fn set_clock_offset(&self, milliseconds: i64) -> Result<()> {
        clock::set_offset(self.directory(), milliseconds)
    }

    /// The server's wall clock, as `TIME` tells it, in milliseconds since 1970.
    ///
    /// # Errors
    ///
    /// Those of [`command`](ServerProcess::command).
    pub fn time(&self) -> Result<i64> {
        let reply = self.command(&["TIME"])?;
        let parts: Vec<i64> = reply
            .as_sequence()
            .map(|parts| {
                parts
                    .iter()
                    .filter_map(|part| crate::client::text(part)?.parse().ok())
                    .collect()
            })
            .unwrap_or_default();
        match parts.as_slice() {
            [seconds, microseconds] => Ok(seconds * 1_000 + microseconds / 1_000),
            _ => Err(self.odd("TIME", &reply)),
        }
    }

    /// Loses all data while connections stay open, as `FLUSHALL` does.
    ///
    /// # Errors
    ///
    /// Those of [`command`](ServerProcess::command).
    pub fn flush(&self) -> Result<()> {
        match self.command(&["FLUSHALL", "SYNC"])? {
            Value::Okay => Ok(()),
            other => Err(self.odd("FLUSHALL", &other)),
        }
    }
}

fn offset_in(field: Option<&str>) -> u64 {
    field
        .and_then(|offset| offset.parse().ok())
        .unwrap_or_default()
}

impl Deref for RedisServer {
    type Target = ServerProcess;

    fn deref(&self) -> &ServerProcess {
        &self.process
    }
}
