//! Starting children that cannot outlive the test.
//!
//! Dropping a server kills it, but a test process that is itself killed drops nothing. On Linux each child therefore
//! asks the kernel to be killed with its parent. The kernel takes the parent to be the *thread* that started the child,
//! and test threads come and go, so one thread that lives as long as the process starts them all.

use std::{
    ffi::{OsStr, OsString},
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{OnceLock, mpsc},
    thread,
};

use crate::{
    binary,
    error::{Result, file_error},
};

/// How to start a server, kept so that it can be started again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(String, OsString)>,
    /// A program and its arguments that end by turning into the real one, such as `ip netns exec`.
    pub(crate) wrapper: Vec<OsString>,
}

impl Launch {
    /// The command that starts the server, with its output appended to `log`.
    pub(crate) fn command(&self, directory: &Path, log: &Path) -> Result<Command> {
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .map_err(file_error("opening", log))?;
        let errors = output.try_clone().map_err(file_error("opening", log))?;
        let mut command = tied(&self.wrapper, self.program.as_os_str());
        command.args(&self.arguments).current_dir(directory);
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }
}

/// A command whose process dies with the thread that starts it, where the system can promise that.
pub(crate) fn tied(wrapper: &[OsString], program: &OsStr) -> Command {
    let mut words: Vec<&OsStr> = wrapper.iter().map(OsString::as_os_str).collect();
    words.push(program);
    match binary::setpriv() {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "SIGKILL", "--"]).args(words);
            command
        }
        None => {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]);
            command
        }
    }
}

struct Order {
    command: Command,
    reply: mpsc::Sender<io::Result<Child>>,
}

/// Spawns `command` on the one thread whose end is the end of the process.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let orders = SPAWNER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for mut order in orders {
                // The other side has given up if this fails; the child then has no owner and must go.
                if let Err(mpsc::SendError(Ok(mut orphan))) =
                    order.reply.send(order.command.spawn())
                {
                    let _ = orphan.kill();
                    let _ = orphan.wait();
                }
            }
        });
        sender
    });
    let (reply, answer) = mpsc::channel();
    let gone = || io::Error::other("the thread that starts processes has ended");
    orders.send(Order { command, reply }).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}
