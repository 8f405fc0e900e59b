//! What the lease protects: a journal that refuses a fence lower than one it has seen.
//!
//! It stands for the database, the object store or the API that real workers write to. It looks at
//! the fence alone, so that whatever else the lock lets through can be found in its file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::history::Step;

/// A register that listens on a loopback port for as long as the process lives.
pub(crate) struct Register {
    address: SocketAddr,
    path: PathBuf,
    state: Arc<Mutex<State>>,
}

struct State {
    file: File,
    last_step: u64,
    highest_fence: u64,
    refused: usize,
}

impl Register {
    pub(crate) fn start(path: PathBuf) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State {
            file: File::create(&path)?,
            last_step: 0,
            highest_fence: 0,
            refused: 0,
        }));
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = state.clone();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let state = shared.clone();
                // A client that hangs must not keep others waiting.
                thread::spawn(move || serve(&connection, &state));
            }
        });
        Ok(Self {
            address,
            path,
            state,
        })
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// How many writes were refused so far.
    pub(crate) fn refused(&self) -> usize {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .refused
    }

    /// Reads the journal's file.
    pub(crate) fn journal(&self) -> io::Result<Vec<Step>> {
        read_journal(&self.path)
    }

    /// Repeats the journal's first step under its old fence, as a packet would that was stuck in
    /// the network since. Returns `false` if there is no later fence yet, so that nothing was sent.
    pub(crate) fn write_late(&self) -> io::Result<bool> {
        let journal = self.journal()?;
        let Some(first) = journal.first() else {
            return Ok(false);
        };
        if journal.last().is_none_or(|last| last.fence == first.fence) {
            return Ok(false);
        }
        let mut connection = TcpStream::connect(self.address)?;
        writeln!(connection, "write {} {} 0", first.fence, first.step)?;
        io::read_to_string(connection)?;
        Ok(true)
    }
}

fn serve(connection: &TcpStream, state: &Mutex<State>) -> io::Result<()> {
    connection.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut request = String::new();
    BufReader::new(connection).read_line(&mut request)?;
    let answer = state
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .answer(request.trim_end())?;
    let mut connection = connection;
    writeln!(connection, "{answer}")
}

impl State {
    fn answer(&mut self, request: &str) -> io::Result<String> {
        if request == "last" {
            return Ok(self.last_step.to_string());
        }
        let words: Vec<&str> = request.split(' ').collect();
        let ["write", fence, step, writer] = words[..] else {
            return Ok("what?".to_owned());
        };
        let (Ok(fence), Ok(step)) = (fence.parse(), step.parse()) else {
            return Ok("what?".to_owned());
        };
        if fence < self.highest_fence {
            self.refused += 1;
            return Ok("refused".to_owned());
        }
        // The step is kept before anybody hears that it was.
        writeln!(self.file, "{step} {fence} {writer}")?;
        (self.highest_fence, self.last_step) = (fence, step);
        Ok("accepted".to_owned())
    }
}

fn read_journal(path: &Path) -> io::Result<Vec<Step>> {
    let text = std::fs::read_to_string(path)?;
    let step = |line: &str| {
        let mut numbers = line.split(' ').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(step)), Some(Ok(fence))) => Ok(Step { step, fence }),
            _ => Err(io::Error::other(format!("the journal has a line {line:?}"))),
        }
    };
    text.lines().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(register: &Register, request: &str) -> String {
        let mut connection = TcpStream::connect(register.address).expect("connect");
        writeln!(connection, "{request}").expect("send");
        let answer = io::read_to_string(connection).expect("an answer");
        answer.trim_end().to_owned()
    }

    #[test]
    fn a_lower_fence_is_refused_and_an_equal_one_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let register = Register::start(directory.path().join("journal")).expect("a register");
        assert_eq!(ask(&register, "last"), "0");
        assert!(!register.write_late().expect("nothing to write"));
        assert_eq!(ask(&register, "write 5 1 77"), "accepted");
        assert_eq!(ask(&register, "write 5 2 77"), "accepted");
        assert_eq!(ask(&register, "write 4 3 77"), "refused");
        assert_eq!(ask(&register, "write 9 3 78"), "accepted");
        assert_eq!(ask(&register, "last"), "3");
        assert!(register.write_late().expect("a late write"));
        assert_eq!(register.refused(), 2);
        for nonsense in ["", "write", "write x 1 1", "write 9 -1 1", "erase"] {
            assert_eq!(ask(&register, nonsense), "what?", "{nonsense:?}");
        }
        let journal = register.journal().expect("the journal");
        let expected = [(1, 5), (2, 5), (3, 9)];
        assert!(journal.iter().map(|s| (s.step, s.fence)).eq(expected));
    }
}
