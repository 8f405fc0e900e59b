//! Describing a Sentinel before it is started.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::SentinelServer;
use crate::{
    binary,
    client::Credentials,
    conf::{ConfFile, SENTINEL_CONF, quoted},
    error::Result,
    netns::Host,
    port::Port,
    process::{self, Plan, ServerProcess},
    rights,
    spawn::Launch,
};

/// A Sentinel to be; made by [`SentinelServer::builder`].
#[derive(Debug, Clone)]
pub struct SentinelServerBuilder {
    binary: Option<PathBuf>,
    port: Option<u16>,
    service: String,
    master: (String, u16),
    quorum: u32,
    down_after: Duration,
    failover_timeout: Duration,
    node_password: Option<String>,
    password: Option<String>,
    fast_periods: bool,
    place: Host,
    directives: Vec<(String, String)>,
}

impl SentinelServerBuilder {
    pub(super) fn new(master_host: String, master_port: u16) -> Self {
        Self {
            binary: None,
            port: None,
            service: "mymaster".to_owned(),
            master: (master_host, master_port),
            quorum: 2,
            down_after: Duration::from_millis(500),
            failover_timeout: Duration::from_secs(1),
            node_password: None,
            password: None,
            fast_periods: true,
            place: Host::loopback(),
            directives: Vec::new(),
        }
    }

    /// Another server program than `redis-server` or the one named by `LEASEHOLD_REDIS_SERVER`.
    #[must_use]
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// A certain port instead of a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The name of the watched master, `mymaster` by default.
    #[must_use]
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.service = name.into();
        self
    }

    /// How many Sentinels must find the master dead, 2 by default.
    #[must_use]
    pub fn quorum(mut self, quorum: u32) -> Self {
        self.quorum = quorum;
        self
    }

    /// How long the master may be silent, 500 ms by default.
    #[must_use]
    pub fn down_after(mut self, time: Duration) -> Self {
        self.down_after = time;
        self
    }

    /// Sentinel's `failover-timeout`, 1 s by default; twice this passes between two attempts.
    #[must_use]
    pub fn failover_timeout(mut self, time: Duration) -> Self {
        self.failover_timeout = time;
        self
    }

    /// The password of the data nodes.
    #[must_use]
    pub fn node_password(mut self, password: impl Into<String>) -> Self {
        self.node_password = Some(password.into());
        self
    }

    /// The password of the Sentinels, which they also use among themselves.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Whether to shorten Sentinel's built-in periods, where the server can (Redis 7). On by default.
    #[must_use]
    pub fn fast_periods(mut self, fast: bool) -> Self {
        self.fast_periods = fast;
        self
    }

    /// Run on a host of a [`Network`](crate::netns::Network), at its address.
    #[must_use]
    pub fn on(mut self, host: &Host) -> Self {
        self.place = host.clone();
        self
    }

    /// One directive of `sentinel.conf`; replaces what the kit would have written for it.
    #[must_use]
    pub fn config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.directives.push((key.into(), value.into()));
        self
    }

    /// Starts the Sentinel and waits until it answers.
    ///
    /// # Errors
    ///
    /// [`Error::MissingBinary`](crate::Error::MissingBinary) without Redis on the machine,
    /// [`Error::NotReady`](crate::Error::NotReady) when it does not come up.
    pub fn start(self) -> Result<SentinelServer> {
        let program = binary::server(self.binary.as_deref())?;
        let fast_periods = self.fast_periods && binary::major_version(&program) >= 7;
        let process = process::start_on(self.port, |port| self.start_on(&program, port))?;
        let server = SentinelServer {
            process,
            node_login: self.node_login(),
            service: self.service,
            fast_periods,
        };
        server.quicken()?;
        Ok(server)
    }

    fn start_on(&self, program: &Path, port: Port) -> Result<ServerProcess> {
        let directory = process::new_directory()?;
        let conf_path = directory.path().join("sentinel.conf");
        process::write(
            &conf_path,
            &self
                .conf(port.number(), &directory.path().to_string_lossy())
                .text(),
        )?;
        let arguments = vec![conf_path.into(), "--sentinel".into()];
        let launch = Launch {
            program: program.to_owned(),
            arguments,
            wrapper: self.place.wrapper(),
            ..Launch::default()
        };
        let credentials = Credentials {
            username: None,
            password: self.password.clone(),
        };
        let plan = Plan {
            kind: "sentinel",
            host: self.place.address().to_owned(),
            port,
            launch,
            credentials,
            application: None,
            directory,
        };
        ServerProcess::start(plan)
    }

    fn node_login(&self) -> Vec<(&'static str, String)> {
        if rights::are_least() {
            let (username, password) = rights::sentinel();
            return vec![
                ("auth-user", username.into()),
                ("auth-pass", password.into()),
            ];
        }
        let password = self.node_password.iter();
        password
            .map(|password| ("auth-pass", password.clone()))
            .collect()
    }

    fn conf(&self, port: u16, directory: &str) -> ConfFile {
        let service = &self.service;
        let mut conf = ConfFile::from_base(&SENTINEL_CONF.replace("mymaster", service));
        conf.set("bind", self.place.address());
        conf.set("port", &port.to_string());
        conf.set("protected-mode", "no");
        conf.set("dir", &quoted(directory));
        let (host, master_port) = &self.master;
        conf.set(
            &format!("sentinel monitor {service}"),
            &format!("{host} {master_port} {}", self.quorum),
        );
        let milliseconds = |time: Duration| time.as_millis().to_string();
        conf.set(
            &format!("sentinel down-after-milliseconds {service}"),
            &milliseconds(self.down_after),
        );
        conf.set(
            &format!("sentinel failover-timeout {service}"),
            &milliseconds(self.failover_timeout),
        );
        for (option, value) in self.node_login() {
            conf.set(&format!("sentinel {option} {service}"), &quoted(&value));
        }
        if let Some(password) = &self.password {
            conf.set("requirepass", &quoted(password));
            conf.set("sentinel sentinel-pass", &quoted(password));
        }
        for (key, value) in &self.directives {
            conf.set(key, value);
        }
        conf
    }
}
