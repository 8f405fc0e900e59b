//! A terminal for the command under test: what a person would see on it, and what they type.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use leasehold_testkit::{ChildProcess, wait_for};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::{Failure, PATIENCE};

pub(crate) const CTRL_C: &str = "\u{3}";
pub(crate) const CTRL_Z: &str = "\u{1a}";

const LINES: u16 = 12;
const COLUMNS: u16 = 100;

/// The end of a pseudo-terminal that people sit at, and everything that was ever shown on it.
pub(crate) struct Terminal {
    keyboard: File,
    path: String,
    shown: Arc<Mutex<Shown>>,
}

struct Shown {
    screen: vt100::Parser,
    bytes: Vec<u8>,
}

impl Terminal {
    pub(crate) fn open() -> Result<Self, Failure> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let path = ptsname(&master, Vec::new())?.into_string()?;
        let size = Winsize {
            ws_row: LINES,
            ws_col: COLUMNS,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size)?;
        let keyboard = File::from(master);
        let shown = Arc::new(Mutex::new(Shown {
            screen: vt100::Parser::new(LINES, COLUMNS, 1000),
            bytes: Vec::new(),
        }));
        let (mut glass, seen) = (keyboard.try_clone()?, shown.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Ends with an error once nobody has the other end any more.
            while let Ok(count @ 1..) = glass.read(&mut bytes) {
                let mut shown = seen.lock().unwrap_or_else(PoisonError::into_inner);
                shown.screen.process(&bytes[..count]);
                shown.bytes.extend_from_slice(&bytes[..count]);
            }
        });
        Ok(Self {
            keyboard,
            path,
            shown,
        })
    }

    /// Starts a command that has this as its controlling terminal, in the foreground.
    pub(crate) fn spawn(&self, command: &Command) -> Result<ChildProcess, Failure> {
        let mut session = ChildProcess::command("setsid");
        session.arg("--ctty").arg(command.get_program());
        session.args(command.get_args());
        session.env_clear().env("TERM", "xterm-256color");
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                session.env(name, value);
            }
        }
        let line = OpenOptions::new().read(true).write(true).open(&self.path)?;
        session
            .stdin(Stdio::from(line.try_clone()?))
            .stdout(Stdio::from(line.try_clone()?))
            .stderr(Stdio::from(line));
        Ok(ChildProcess::spawn(session)?)
    }

    pub(crate) fn type_in(&self, text: &str) -> Result<(), Failure> {
        (&self.keyboard).write_all(text.as_bytes())?;
        Ok(())
    }

    /// What the screen shows now.
    pub(crate) fn contents(&self) -> String {
        self.shown().screen.screen().contents()
    }

    /// Everything that was ever sent to the screen.
    pub(crate) fn bytes(&self) -> String {
        String::from_utf8_lossy(&self.shown().bytes).into_owned()
    }

    /// Whether the screen is as a shell has it: the first one, with a cursor.
    pub(crate) fn is_as_found(&self) -> bool {
        let shown = self.shown();
        let screen = shown.screen.screen();
        !screen.alternate_screen() && !screen.hide_cursor()
    }

    /// Waits until the screen shows something.
    pub(crate) fn shows(&self, what: &str) -> Result<String, Failure> {
        self.until(&format!("`{what}` on the screen"), |contents| {
            contents.contains(what)
        })
    }

    pub(crate) fn until(
        &self,
        what: &str,
        holds: impl Fn(&str) -> bool,
    ) -> Result<String, Failure> {
        let seen = wait_for(what.to_owned(), PATIENCE, || {
            let contents = self.contents();
            if holds(&contents) {
                Ok(contents)
            } else {
                Err(format!("it shows:\n{contents}"))
            }
        });
        Ok(seen?)
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
