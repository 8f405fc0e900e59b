//! One Sentinel process.

use std::{collections::BTreeMap, ops::Deref};

use crate::{client, error::Result, port::Port, process::ServerProcess};

/// Sentinel's own periods are made for wide networks; these let a failover on one machine finish in about a second.
///
/// A replica is passed over at promotion when it has been silent for five ping periods, while replicas of a dead master
/// are asked once a second, hard-coded: so the ping period must stay above 200 ms.
///
/// For the same reason the Sentinel that leads may need a second to see that its replica was promoted. A Sentinel that has
/// not heard of it after four publish periods makes that node a replica again: so these must be more than a second and
/// the period of the hello message that tells it.
const FAST_PERIODS: &[(&str, u32)] = &[
    ("INFO-PERIOD", 200),
    ("PING-PERIOD", 250),
    ("ASK-PERIOD", 100),
    ("PUBLISH-PERIOD", 500),
    ("MIN-LINK-RECONNECT-PERIOD", 500),
    ("SLAVE-RECONF-TIMEOUT", 1_000),
    ("TILT-PERIOD", 1_000),
];

mod builder;

pub use builder::SentinelServerBuilder;

/// The port that a Sentinel had before it moved, and that nobody else is given.
#[derive(Debug)]
pub struct FormerPort(Port);

/// One Sentinel on a free port of the loopback interface.
///
/// Everything about the process itself (kill, pause, restart, commands) comes from [`ServerProcess`].
#[derive(Debug)]
pub struct SentinelServer {
    process: ServerProcess,
    service: String,
    fast_periods: bool,
    /// How it logs in at nodes, as options of the master.
    node_login: Vec<(&'static str, String)>,
}

impl SentinelServer {
    /// Describes a Sentinel that watches the master at this host and port.
    #[must_use]
    pub fn builder(master_host: impl Into<String>, master_port: u16) -> SentinelServerBuilder {
        SentinelServerBuilder::new(master_host.into(), master_port)
    }

    /// Starts the Sentinel again with the file that it rewrote itself, killing it first if it lives.
    ///
    /// # Errors
    ///
    /// Those of [`ServerProcess::restart`].
    pub fn restart(&self) -> Result<()> {
        self.process.restart()?;
        self.quicken()
    }

    /// Starts the Sentinel again on another port, with the file that it rewrote itself and so with the same identifier:
    /// as a pod that comes back at another address. Its former port is free for others.
    ///
    /// # Errors
    ///
    /// Those of [`ServerProcess::restart`].
    pub fn move_to_another_port(&self) -> Result<()> {
        self.process.move_to_another_port("sentinel.conf")?;
        self.quicken()
    }

    /// Moves it to another port for a while: the port that it had is kept for [`move_back`](Self::move_back).
    ///
    /// # Errors
    ///
    /// Those of [`ServerProcess::restart`].
    pub fn move_away(&self) -> Result<FormerPort> {
        let former = self.process.move_to("sentinel.conf", Port::reserve()?)?;
        self.quicken()?;
        Ok(FormerPort(former))
    }

    /// Moves it back to the port that it had before.
    ///
    /// # Errors
    ///
    /// Those of [`ServerProcess::restart`].
    pub fn move_back(&self, former: FormerPort) -> Result<()> {
        self.process.move_to("sentinel.conf", former.0)?;
        self.quicken()
    }

    /// Has it watch a master (`SENTINEL MONITOR`) under the name that it was started with, as it logs in at nodes from
    /// its start.
    ///
    /// # Errors
    ///
    /// Those of [`command`](ServerProcess::command).
    pub fn monitor(&self, host: &str, port: u16, quorum: u32) -> Result<()> {
        let (port, quorum) = (port.to_string(), quorum.to_string());
        self.command(&["SENTINEL", "MONITOR", &self.service, host, &port, &quorum])?;
        for (option, value) in &self.node_login {
            self.command(&["SENTINEL", "SET", &self.service, option, value])?;
        }
        Ok(())
    }

    /// The name of the master that it watches.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The fields of `SENTINEL MASTER`.
    ///
    /// # Errors
    ///
    /// Those of [`command`](ServerProcess::command).
    pub fn master(&self) -> Result<BTreeMap<String, String>> {
        let reply = self.command(&["SENTINEL", "MASTER", &self.service])?;
        client::pairs(&reply).ok_or_else(|| self.odd("SENTINEL MASTER", &reply))
    }

    /// The host and port that it gives to clients, or `None` when it knows no such master.
    ///
    /// # Errors
    ///
    /// Those of [`command`](ServerProcess::command).
    pub fn master_address(&self) -> Result<Option<(String, u16)>> {
        let reply = self.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &self.service])?;
        let parts = match &reply {
            redis::Value::Nil => return Ok(None),
            redis::Value::Array(parts) => parts,
            _ => return Err(self.odd("SENTINEL GET-MASTER-ADDR-BY-NAME", &reply)),
        };
        let words: Vec<String> = parts.iter().filter_map(client::text).collect();
        match words.as_slice() {
            [host, port] if port.parse::<u16>().is_ok() => {
                Ok(Some((host.clone(), port.parse().unwrap_or_default())))
            }
            _ => Err(self.odd("SENTINEL GET-MASTER-ADDR-BY-NAME", &reply)),
        }
    }

    /// The fields of each replica in `SENTINEL REPLICAS`.
    ///
    /// # Errors
    ///
    /// Those of [`command`](ServerProcess::command).
    pub fn replicas(&self) -> Result<Vec<BTreeMap<String, String>>> {
        let reply = self.command(&["SENTINEL", "REPLICAS", &self.service])?;
        let entries = reply
            .as_sequence()
            .map(|entries| entries.iter().filter_map(client::pairs).collect());
        entries.ok_or_else(|| self.odd("SENTINEL REPLICAS", &reply))
    }

    fn quicken(&self) -> Result<()> {
        if !self.fast_periods {
            return Ok(());
        }
        let mut words = vec!["SENTINEL".to_owned(), "DEBUG".to_owned()];
        for (name, milliseconds) in FAST_PERIODS {
            words.extend([(*name).to_owned(), milliseconds.to_string()]);
        }
        self.command(&words).map(drop)
    }
}

impl Deref for SentinelServer {
    type Target = ServerProcess;

    fn deref(&self) -> &ServerProcess {
        &self.process
    }
}
