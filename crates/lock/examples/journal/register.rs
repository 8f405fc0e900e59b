//! What the lease protects: a journal that refuses a fence lower than one it has seen.
//!
//! It stands for the database, the object store or the API that real workers write to. It looks at
//! the fence alone, so that whatever else the lock lets through can be found in its file.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// A step in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) step: u64,
    pub(crate) fence: u64,
}

/// A register that listens for as long as the process lives.
pub(crate) struct Register {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    file: File,
    last_step: u64,
    highest_fence: u64,
    refused: usize,
}

impl Register {
    /// Goes on with the journal in the file, or begins it.
    pub(crate) fn start(listen: impl ToSocketAddrs, path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let journal = parse_journal(&std::fs::read_to_string(path)?)?;
        let state = Arc::new(Mutex::new(State {
            file,
            last_step: journal.last().map_or(0, |last| last.step),
            highest_fence: journal.iter().map(|step| step.fence).max().unwrap_or(0),
            refused: 0,
        }));
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        let shared = state.clone();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let state = shared.clone();
                // A client that hangs must not keep others waiting.
                thread::spawn(move || serve(&connection, &state));
            }
        });
        Ok(Self { address, state })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many writes were refused so far.
    pub(crate) fn refused(&self) -> usize {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .refused
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

/// The steps in a journal's file, in the order in which they were taken.
pub(crate) fn parse_journal(text: &str) -> io::Result<Vec<Step>> {
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
        let mut connection = TcpStream::connect(register.address()).expect("connect");
        writeln!(connection, "{request}").expect("send");
        let answer = io::read_to_string(connection).expect("an answer");
        answer.trim_end().to_owned()
    }

    #[test]
    fn a_lower_fence_is_refused_and_an_equal_one_is_not() {
        let path = std::env::temp_dir().join(format!("journal-{}", std::process::id()));
        let register = Register::start("127.0.0.1:0", &path).expect("a register");
        assert_eq!(ask(&register, "last"), "0");
        assert_eq!(ask(&register, "write 5 1 77"), "accepted");
        assert_eq!(ask(&register, "write 5 2 77"), "accepted");
        assert_eq!(ask(&register, "write 4 3 77"), "refused");
        assert_eq!(ask(&register, "write 9 3 78"), "accepted");
        assert_eq!(ask(&register, "last"), "3");
        assert_eq!(register.refused(), 1);
        for nonsense in ["", "write", "write x 1 1", "write 9 -1 1", "erase"] {
            assert_eq!(ask(&register, nonsense), "what?", "{nonsense:?}");
        }

        let restarted = Register::start("127.0.0.1:0", &path).expect("the same register");
        assert_eq!(ask(&restarted, "last"), "3");
        assert_eq!(ask(&restarted, "write 8 4 77"), "refused");
        let text = std::fs::read_to_string(&path).expect("the file");
        std::fs::remove_file(&path).expect("the file goes");
        let journal = parse_journal(&text).expect("the journal");
        let expected = [(1, 5), (2, 5), (3, 9)];
        assert!(journal.iter().map(|s| (s.step, s.fence)).eq(expected));
    }
}
