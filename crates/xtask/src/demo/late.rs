//! A write that comes too late: what the journal is there to refuse.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};

use super::register::Step;

/// Repeats the journal's first step under its old fence, as a packet would that was stuck in the
/// network since, and gives the answer. `None` if there is no later fence yet: nothing was sent.
pub(crate) fn write_late(register: SocketAddr, journal: &[Step]) -> io::Result<Option<String>> {
    let Some(first) = journal.first() else {
        return Ok(None);
    };
    if journal.last().is_none_or(|last| last.fence == first.fence) {
        return Ok(None);
    }
    let request = format!("write {} {} 0", first.fence, first.step);
    ask(register, &request).map(Some)
}

/// Sends one line to the register, and gives its answer.
pub(crate) fn ask(register: SocketAddr, request: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect(register)?;
    writeln!(connection, "{request}")?;
    Ok(io::read_to_string(connection)?.trim_end().to_owned())
}
