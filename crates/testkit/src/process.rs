//! One server process: its life and its directory.

use std::{
    fs,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    acceptor::lock,
    child::ChildProcess,
    client::Credentials,
    error::{Error, Result, file_error},
    port::Port,
    spawn::Launch,
};

mod conversation;
mod starting;

pub(crate) use starting::{Plan, new_directory, start_on, together, write};

/// A server on a busy machine, loading a data set, is still up well within this.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// Long enough to show the cause of a crash, short enough to read in a test's output.
const LOG_TAIL_BYTES: i64 = 4_000;

/// What [`RedisServer`](crate::RedisServer) and [`SentinelServer`](crate::SentinelServer) have in common: a process of
/// its own in a temporary directory of its own, listening on a port that stays reserved while the process is dead.
///
/// All methods take `&self`, so one thread may kill or pause the server while others talk to it.
/// Dropping it kills the process and removes the directory.
#[derive(Debug)]
pub struct ServerProcess {
    kind: &'static str,
    host: String,
    port: Mutex<Port>,
    launch: Launch,
    credentials: Credentials,
    application: Option<Credentials>,
    directory: TempDir,
    child: Mutex<Option<Arc<ChildProcess>>>,
}

impl ServerProcess {
    /// Starts the process and waits until it answers.
    pub(crate) fn start(plan: Plan) -> Result<Self> {
        let Plan {
            kind,
            host,
            port,
            launch,
            credentials,
            application,
            directory,
        } = plan;
        let child = Mutex::new(None);
        let server = Self {
            kind,
            host,
            port: Mutex::new(port),
            launch,
            credentials,
            application,
            directory,
            child,
        };
        server.launch()?;
        Ok(server)
    }

    /// The host that the server listens on.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port that the server listens on, the same over restarts.
    #[must_use]
    pub fn port(&self) -> u16 {
        lock(&self.port).number()
    }

    /// Host and port, as `127.0.0.1:12345`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port())
    }

    /// A `redis://` URL with the credentials of an application: those that the kit itself uses, unless tests have the
    /// least rights.
    #[must_use]
    pub fn url(&self) -> String {
        let credentials = self.application.as_ref().unwrap_or(&self.credentials);
        credentials.url(&self.host, self.port())
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The directory of this server: configuration, log and data.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The process id, while the process lives.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child().as_ref().map(|child| child.pid())
    }

    /// Whether the process lives; a paused one does.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.child()
            .as_ref()
            .is_some_and(|child| child.is_running())
    }

    /// Whether the process is stopped by [`pause`](Self::pause).
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.child().as_ref().is_some_and(|child| child.is_paused())
    }

    /// Whether the process lives and is not paused.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.is_running() && !self.is_paused()
    }

    /// Ends the process with `SIGKILL`, as a crash would. Does nothing to a dead one.
    pub fn kill(&self) {
        // Killed here rather than by the drop, which somebody who asks about the process may put off.
        if let Some(child) = lock(&self.child).take() {
            child.kill();
        }
    }

    /// Freezes the process with `SIGSTOP`: its connections stay open and nobody answers.
    ///
    /// # Errors
    ///
    /// [`Error::NotRunning`] for a dead process.
    pub fn pause(&self) -> Result<()> {
        self.living()?.pause()
    }

    /// Lets a paused process go on, with `SIGCONT`.
    ///
    /// # Errors
    ///
    /// [`Error::NotRunning`] for a dead process.
    pub fn resume(&self) -> Result<()> {
        self.living()?.resume()
    }

    /// Starts the process again with the same port, configuration and data, killing it first if it lives.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`] with the end of its log when it does not come up.
    pub fn restart(&self) -> Result<()> {
        self.kill();
        self.launch()
    }

    /// Starts the process again on another free port with the same data, killing it first if it lives. The port that
    /// it had is free for others.
    pub(crate) fn move_to_another_port(&self, conf: &str) -> Result<()> {
        self.move_to(conf, Port::reserve()?).map(drop)
    }

    /// The same to a port that was reserved before. Returns the former one, still reserved.
    pub(crate) fn move_to(&self, conf: &str, port: Port) -> Result<Port> {
        self.kill();
        let path = self.directory.path().join(conf);
        let text = fs::read_to_string(&path).map_err(file_error("reading", &path))?;
        let moved: Vec<String> = text
            .lines()
            .map(|line| match line.split_once(' ') {
                Some(("port", _)) => format!("port {}", port.number()),
                _ => line.to_owned(),
            })
            .collect();
        write(&path, &(moved.join("\n") + "\n"))?;
        let former = std::mem::replace(&mut *lock(&self.port), port);
        self.launch()?;
        Ok(former)
    }

    /// Asks the process to end in an orderly way and waits until it has.
    ///
    /// # Errors
    ///
    /// [`Error::NotRunning`] for a dead process, [`Error::Timeout`] when it does not end.
    pub fn shutdown(&self) -> Result<()> {
        let child = self.living()?;
        child.terminate()?;
        child.wait(READY_WITHIN)?;
        self.kill();
        Ok(())
    }

    /// The last lines of the server's log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        log_tail(&self.log_path())
    }

    /// Kind and address, for messages.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.kind, self.address())
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("server.log")
    }

    fn child(&self) -> Option<Arc<ChildProcess>> {
        lock(&self.child).clone()
    }

    fn living(&self) -> Result<Arc<ChildProcess>> {
        self.child().ok_or_else(|| Error::NotRunning {
            server: self.name(),
        })
    }

    fn launch(&self) -> Result<()> {
        let log = self.log_path();
        let command = self.launch.command(self.directory.path(), &log)?;
        *lock(&self.child) = Some(Arc::new(ChildProcess::named(self.name(), command)?));
        let started = Instant::now();
        let reason = loop {
            match self.probe() {
                Ok(()) => return Ok(()),
                Err(seen) if !self.is_running() => break format!("the process ended ({seen})"),
                Err(seen) if started.elapsed() > READY_WITHIN => break seen,
                Err(_) => thread::sleep(Duration::from_millis(3)),
            }
        };
        self.kill();
        Err(Error::NotReady {
            server: self.name(),
            reason,
            log: log_tail(&log),
        })
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

fn log_tail(path: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = fs::File::open(path) {
        // A log shorter than the tail cannot be wound back that far and is read from its beginning.
        let _ = file.seek(SeekFrom::End(-LOG_TAIL_BYTES));
        let _ = file.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
