//! One server process: its life, its directory, and how to talk to it.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use redis::{ToRedisArgs, Value};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    binary,
    client::{self, Credentials},
    error::{Error, Result, file_error},
    port::Port,
    spawn::Launch,
    wait,
};

/// A server on a busy machine, loading a data set, is still up well within this.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// Long enough to show the cause of a crash, short enough to read in a test's output.
const LOG_TAIL_BYTES: i64 = 4_000;

/// How often a port that was taken at the last moment is replaced by another.
const PORT_ATTEMPTS: usize = 5;

const ADDRESS_IN_USE: &str = "Address already in use";

/// What [`RedisServer`](crate::RedisServer) and [`SentinelServer`](crate::SentinelServer) have in common: a process of
/// its own in a temporary directory of its own, listening on a port that stays reserved while the process is dead.
///
/// All methods take `&self`, so one thread may kill or pause the server while others talk to it.
/// Dropping it kills the process and removes the directory.
#[derive(Debug)]
pub struct ServerProcess {
    kind: &'static str,
    host: String,
    port: Port,
    launch: Launch,
    credentials: Credentials,
    directory: TempDir,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    child: Option<Child>,
    paused: bool,
}

/// What a server is started from; see [`ServerProcess::start`].
pub(crate) struct Plan {
    pub(crate) kind: &'static str,
    pub(crate) host: String,
    pub(crate) port: Port,
    pub(crate) launch: Launch,
    pub(crate) credentials: Credentials,
    pub(crate) directory: TempDir,
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
            directory,
        } = plan;
        let server = Self {
            kind,
            host,
            port,
            launch,
            credentials,
            directory,
            state: Mutex::default(),
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
        self.port.number()
    }

    /// Host and port, as `127.0.0.1:12345`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port())
    }

    /// A `redis://` URL with the credentials that the kit itself uses.
    #[must_use]
    pub fn url(&self) -> String {
        self.credentials.url(&self.host, self.port())
    }

    /// The directory of this server: configuration, log and data.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The process id, while the process lives.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.state().child.as_ref().map(Child::id)
    }

    /// Whether the process lives; a paused one does.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let mut state = self.state();
        state
            .child
            .as_mut()
            .is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Whether the process is stopped by [`pause`](Self::pause).
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.state().paused
    }

    /// Whether the process lives and is not paused.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.is_running() && !self.is_paused()
    }

    /// Ends the process with `SIGKILL`, as a crash would. Does nothing to a dead one.
    pub fn kill(&self) {
        let mut state = self.state();
        if let Some(mut child) = state.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        state.paused = false;
    }

    /// Freezes the process with `SIGSTOP`: its connections stay open and nobody answers.
    ///
    /// # Errors
    ///
    /// [`Error::NotRunning`] for a dead process.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a paused process go on, with `SIGCONT`.
    ///
    /// # Errors
    ///
    /// [`Error::NotRunning`] for a dead process.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
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

    /// Asks the process to end in an orderly way and waits until it has.
    ///
    /// # Errors
    ///
    /// [`Error::NotRunning`] for a dead process, [`Error::Timeout`] when it does not end.
    pub fn shutdown(&self) -> Result<()> {
        self.signal(Signal::TERM)?;
        wait::wait_until(
            format!("{} to shut down", self.name()),
            READY_WITHIN,
            || !self.is_running(),
        )?;
        self.kill();
        Ok(())
    }

    /// Sends one command on a connection of its own and returns the reply.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] with the server's or the network's complaint. A server that is silent is given up after two
    /// seconds.
    pub fn command<A: ToRedisArgs>(&self, words: &[A]) -> Result<Value> {
        client::command(&self.host, self.port(), &self.credentials, words).map_err(|source| {
            Error::Command {
                server: self.name(),
                command: client::first_words(words),
                source,
            }
        })
    }

    /// A connection of the synchronous client, with the kit's credentials.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] when it cannot be made.
    pub fn connection(&self) -> Result<redis::Connection> {
        client::connect(&self.host, self.port(), &self.credentials).map_err(|source| {
            Error::Command {
                server: self.name(),
                command: "connect".to_owned(),
                source,
            }
        })
    }

    /// The fields of one section of `INFO`; an empty section name gives the default sections.
    ///
    /// # Errors
    ///
    /// Those of [`command`](Self::command).
    pub fn info(&self, section: &str) -> Result<BTreeMap<String, String>> {
        let words: &[&str] = if section.is_empty() {
            &["INFO"]
        } else {
            &["INFO", section]
        };
        let reply = self.command(words)?;
        let text = client::text(&reply).ok_or_else(|| self.odd("INFO", &reply))?;
        Ok(client::info_fields(&text))
    }

    /// Runs the command-line client against this server and returns what it printed.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] when it ends with a failure, which an error reply counts as from Redis 7 on.
    pub fn cli(&self, words: &[&str]) -> Result<String> {
        let program = binary::client_of(&self.launch.program)?;
        let mut command = Command::new(&program);
        command.args(["-h", &self.host, "-p", &self.port().to_string()]);
        self.credentials.for_cli(&mut command);
        if binary::major_version(&self.launch.program) >= 7 {
            command.arg("-e");
        }
        let output = command
            .args(words)
            .output()
            .map_err(file_error("starting", &program))?;
        let printed = String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned();
        if output.status.success() {
            return Ok(printed);
        }
        Err(Error::Program {
            program: format!("redis-cli {}", words.join(" ")),
            status: output.status.to_string(),
            output: format!("{printed}{}", String::from_utf8_lossy(&output.stderr)),
        })
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

    pub(crate) fn odd(&self, command: &str, answer: &Value) -> Error {
        Error::Answer {
            server: self.name(),
            command: command.to_owned(),
            answer: format!("{answer:?}"),
        }
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("server.log")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let mut state = self.state();
        let pid = state
            .child
            .as_ref()
            .and_then(|child| Pid::from_raw(child.id().try_into().ok()?));
        let gone = || Error::NotRunning {
            server: self.name(),
        };
        kill_process(pid.ok_or_else(gone)?, signal).map_err(|_| gone())?;
        state.paused = if signal == Signal::STOP {
            true
        } else {
            state.paused && signal != Signal::CONT
        };
        Ok(())
    }

    fn launch(&self) -> Result<()> {
        let log = self.log_path();
        self.state().child = Some(self.launch.start(self.directory.path(), &log)?);
        let started = Instant::now();
        let outcome = loop {
            match self.probe() {
                Ok(()) => return Ok(()),
                Err(reason) if !self.is_running() => break format!("the process ended ({reason})"),
                Err(reason) if started.elapsed() > READY_WITHIN => break reason,
                Err(_) => std::thread::sleep(Duration::from_millis(3)),
            }
        };
        self.kill();
        Err(Error::NotReady {
            server: self.name(),
            reason: outcome,
            log: log_tail(&log),
        })
    }

    /// Whether our own process, and not another one on the same port, answers and has its data.
    fn probe(&self) -> std::result::Result<(), String> {
        match client::command(&self.host, self.port(), &self.credentials, &["INFO"]) {
            Ok(reply) => {
                let fields = client::info_fields(&client::text(&reply).unwrap_or_default());
                let ours = fields.get("process_id").and_then(|id| id.parse().ok()) == self.pid();
                let loaded = fields.get("loading").is_none_or(|loading| loading == "0");
                match (ours, loaded) {
                    (false, _) => Err("another process answers on the port".to_owned()),
                    (_, false) => Err("it is loading its data".to_owned()),
                    _ => Ok(()),
                }
            }
            // It is up, and the test has reasons to keep even the kit out.
            Err(error) if matches!(error.code(), Some("NOAUTH" | "NOPERM" | "WRONGPASS")) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a server on the chosen port, or on a free one, and on another if that was taken at the last moment.
pub(crate) fn start_on(
    chosen: Option<u16>,
    start: impl Fn(Port) -> Result<ServerProcess>,
) -> Result<ServerProcess> {
    if let Some(number) = chosen {
        return start(Port::chosen(number));
    }
    let mut attempt = 1;
    loop {
        match start(Port::reserve()?) {
            Err(Error::NotReady { log, .. })
                if attempt < PORT_ATTEMPTS && log.contains(ADDRESS_IN_USE) =>
            {
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

/// Starts several servers at once.
pub(crate) fn together<T: Send>(
    count: usize,
    start: impl Fn() -> Result<T> + Sync,
) -> Result<Vec<T>> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(&start)).collect();
        let panicked = |_| Error::Unavailable {
            feature: "a server",
            reason: "the thread starting it panicked".into(),
        };
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(panicked)?)
            .collect()
    })
}

/// A new private directory for one server.
pub(crate) fn new_directory() -> Result<TempDir> {
    let created = tempfile::Builder::new().prefix("leasehold-").tempdir();
    created.map_err(file_error("creating a directory in", std::env::temp_dir()))
}

pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(file_error("writing", path))
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
