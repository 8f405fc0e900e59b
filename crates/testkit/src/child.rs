//! A process that the test can freeze, thaw and kill, and that cannot outlive it.

use std::{
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    acceptor::lock,
    error::{Error, Result, file_error},
    spawn, wait,
};

/// A program of the test's own, such as a client, under the same faults as the servers.
///
/// It is killed when this is dropped, and by the kernel when the test process dies.
///
/// ```no_run
/// use std::time::Duration;
/// use leasehold_testkit::ChildProcess;
///
/// let mut command = ChildProcess::command("my-client");
/// command.args(["--resource", "orders"]).env("REDIS_HOST", "127.0.0.1");
/// let client = ChildProcess::spawn(command)?;
/// client.pause()?;
/// client.resume()?;
/// let status = client.wait(Duration::from_secs(10))?;
/// # Ok::<(), leasehold_testkit::Error>(())
/// ```
#[derive(Debug)]
pub struct ChildProcess {
    name: String,
    child: Mutex<Child>,
    paused: AtomicBool,
}

impl ChildProcess {
    /// A command that runs `program` so that it dies with the test process; arguments, environment and streams are
    /// yours to add.
    #[must_use]
    pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
        spawn::tied(&[], program.as_ref())
    }

    /// Starts a command made by [`command`](Self::command) or by [`Host::command`](crate::netns::Host::command).
    ///
    /// # Errors
    ///
    /// [`Error::File`] when it cannot be started.
    pub fn spawn(command: Command) -> Result<Self> {
        let name = format!("{command:?}").chars().take(200).collect();
        Self::named(name, command)
    }

    pub(crate) fn named(name: String, command: Command) -> Result<Self> {
        let program = command.get_program().to_owned();
        let child = spawn::spawn(command).map_err(file_error("starting", program))?;
        Ok(Self {
            name,
            child: Mutex::new(child),
            paused: AtomicBool::new(false),
        })
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child().id()
    }

    /// Whether the process lives; a paused one does.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.child().try_wait(), Ok(None))
    }

    /// Whether the process is stopped by [`pause`](Self::pause).
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::SeqCst)
    }

    /// Ends the process with `SIGKILL`, as a crash would, and waits until it is gone.
    pub fn kill(&self) {
        let mut child = self.child();
        let _ = child.kill();
        let _ = child.wait();
        self.paused.store(false, Ordering::SeqCst);
    }

    /// Freezes the process with `SIGSTOP`.
    ///
    /// # Errors
    ///
    /// [`Error::NotRunning`] for a dead process.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)?;
        self.paused.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Lets a paused process go on, with `SIGCONT`.
    ///
    /// # Errors
    ///
    /// [`Error::NotRunning`] for a dead process.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)?;
        self.paused.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// Asks the process to end, with `SIGTERM`.
    ///
    /// # Errors
    ///
    /// [`Error::NotRunning`] for a dead process.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Waits until the process has ended by itself, and says how.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] when it has not `within` the given time.
    pub fn wait(&self, within: Duration) -> Result<ExitStatus> {
        wait::wait_for(format!("{} to end", self.name), within, || {
            match self.child().try_wait() {
                Ok(Some(status)) => Ok(status),
                Ok(None) => Err("it is running".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    /// What the process prints, when its command asked for a pipe; the first call takes it.
    #[must_use]
    pub fn take_stdout(&self) -> Option<ChildStdout> {
        self.child().stdout.take()
    }

    /// What the process reads, when its command asked for a pipe; the first call takes it.
    #[must_use]
    pub fn take_stdin(&self) -> Option<ChildStdin> {
        self.child().stdin.take()
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        lock(&self.child)
    }

    /// Held under the lock, so that the process id cannot have been given to another process in the meantime.
    fn signal(&self, signal: Signal) -> Result<()> {
        let mut child = self.child();
        let gone = || Error::NotRunning {
            server: self.name.clone(),
        };
        if !matches!(child.try_wait(), Ok(None)) {
            return Err(gone());
        }
        let pid = i32::try_from(child.id())
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(gone)?;
        kill_process(pid, signal).map_err(|_| gone())
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.kill();
    }
}
