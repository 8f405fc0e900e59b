//! Describing a data node before it is started.

use std::path::{Path, PathBuf};

use super::RedisServer;
use crate::{
    binary,
    client::Credentials,
    clock,
    conf::{ConfFile, REDIS_CONF, quoted},
    error::Result,
    netns::Host,
    port::Port,
    process::{self, Plan, ServerProcess},
    rights, settings,
    spawn::Launch,
};

/// A data node to be; made by [`RedisServer::builder`].
#[derive(Debug, Clone)]
pub struct RedisServerBuilder {
    binary: Option<PathBuf>,
    port: Option<u16>,
    password: Option<String>,
    login: Option<Credentials>,
    access_control: Option<String>,
    replica_of: Option<(String, u16)>,
    append_only: bool,
    persistence: bool,
    clock_shim: bool,
    place: Host,
    directives: Vec<(String, String)>,
}

impl Default for RedisServerBuilder {
    fn default() -> Self {
        Self {
            binary: None,
            port: None,
            password: None,
            login: None,
            access_control: None,
            replica_of: None,
            append_only: false,
            persistence: false,
            clock_shim: false,
            place: Host::loopback(),
            directives: Vec::new(),
        }
    }
}

impl RedisServerBuilder {
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

    /// The password of the user `default`, which replicas also use towards their master.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Whom the kit itself logs in as, when an access control list leaves it no other way.
    #[must_use]
    pub fn login(mut self, username: impl Into<String>, password: impl Into<String>) -> Self {
        self.login = Some(Credentials {
            username: Some(username.into()),
            password: Some(password.into()),
        });
        self
    }

    /// The text of an access control list, one `user` a line; see [`users_acl`](crate::users_acl).
    #[must_use]
    pub fn access_control_list(mut self, text: impl Into<String>) -> Self {
        self.access_control = Some(text.into());
        self
    }

    /// Follow the master at this host and port.
    #[must_use]
    pub fn replica_of(mut self, host: impl Into<String>, port: u16) -> Self {
        self.replica_of = Some((host.into(), port));
        self
    }

    /// Keep an append-only file, which survives a kill and a restart. Off by default.
    #[must_use]
    pub fn append_only(mut self, kept: bool) -> Self {
        self.append_only = kept;
        self
    }

    /// Save a snapshot at an orderly shutdown, and load it at the next start. Off by default.
    #[must_use]
    pub fn persistence(mut self, kept: bool) -> Self {
        self.persistence = kept;
        self
    }

    /// Give the server a wall clock of its own, which [`RedisServer::set_clock_offset`] moves. Off by default.
    ///
    /// Needs Linux and a C compiler.
    #[must_use]
    pub fn clock_shim(mut self, shimmed: bool) -> Self {
        self.clock_shim = shimmed;
        self
    }

    /// Run on a host of a [`Network`](crate::netns::Network), at its address.
    #[must_use]
    pub fn on(mut self, host: &Host) -> Self {
        self.place = host.clone();
        self
    }

    /// One directive of `redis.conf`; replaces what the kit would have written for it.
    #[must_use]
    pub fn config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.directives.push((key.into(), value.into()));
        self
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Errors
    ///
    /// [`Error::MissingBinary`](crate::Error::MissingBinary) without Redis on the machine,
    /// [`Error::NotReady`](crate::Error::NotReady) when it does not come up.
    pub fn start(self) -> Result<RedisServer> {
        let program = binary::server(self.binary.as_deref())?;
        process::start_on(self.port, |port| self.start_on(&program, port)).map(RedisServer::of)
    }

    fn start_on(&self, program: &Path, port: Port) -> Result<ServerProcess> {
        let directory = process::new_directory()?;
        let conf_path = directory.path().join("redis.conf");
        process::write(
            &conf_path,
            &self.conf(program, port.number(), directory.path())?.text(),
        )?;
        let mut launch = Launch {
            program: program.to_owned(),
            arguments: vec![conf_path.into()],
            wrapper: self.place.wrapper(),
            ..Launch::default()
        };
        if self.clock_shim {
            clock::shift(&mut launch, directory.path())?;
        }
        let fallback = Credentials {
            username: None,
            password: self.password.clone(),
        };
        let (credentials, application) = if self.has_least_rights() {
            (rights::kit(), Some(fallback))
        } else {
            (self.login.clone().unwrap_or(fallback), None)
        };
        let plan = Plan {
            kind: "redis-server",
            host: self.place.address().to_owned(),
            port,
            launch,
            credentials,
            application,
            directory,
        };
        ServerProcess::start(plan)
    }

    /// Unless the test has an access control list of its own.
    fn has_least_rights(&self) -> bool {
        self.access_control.is_none() && rights::are_least()
    }

    fn conf(&self, program: &Path, port: u16, directory: &Path) -> Result<ConfFile> {
        let mut conf = ConfFile::from_base(REDIS_CONF);
        conf.set("bind", self.place.address());
        conf.set("port", &port.to_string());
        conf.set("protected-mode", "no");
        conf.set("dir", &quoted(&directory.to_string_lossy()));
        conf.set("appendonly", if self.append_only { "yes" } else { "no" });
        conf.set("save", if self.persistence { "3600 1" } else { "\"\"" });
        if binary::major_version(program) >= 7 {
            conf.set("enable-debug-command", "yes");
        }
        if self.has_least_rights() {
            let (username, password) = rights::replica();
            conf.set("masteruser", username);
            conf.set("masterauth", password);
        } else if let Some(password) = &self.password {
            conf.set("requirepass", &quoted(password));
            conf.set("masterauth", &quoted(password));
        }
        let least = || rights::access_control_list(self.password.as_deref());
        let text = self.access_control.clone();
        if let Some(text) = text.or_else(|| self.has_least_rights().then(least)) {
            let path = directory.join("users.acl");
            process::write(&path, &text)?;
            conf.set("aclfile", &quoted(&path.to_string_lossy()));
        }
        if let Some((host, port)) = &self.replica_of {
            conf.set("replicaof", &format!("{host} {port}"));
        }
        for (key, value) in settings::of_environment() {
            conf.set(&key, &value);
        }
        for (key, value) in &self.directives {
            conf.set(key, value);
        }
        Ok(conf)
    }
}
