//! What the lease protects: a journal somewhere else that refuses a fence lower than one it has
//! seen. In real life it is a table and `UPDATE … WHERE fence <= $1`.

use std::io;

use leasehold::Fence;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A client of the journal. Each request has a connection of its own, so that one that is dropped
/// half-way leaves nothing behind for the next.
pub(crate) struct Journal {
    address: String,
}

/// What became of a step.
pub(crate) enum Answer {
    /// It is in the journal.
    Accepted,
    /// A later holder has written before.
    Refused,
}

impl Journal {
    pub(crate) fn at(address: String) -> Self {
        Self { address }
    }

    /// The number of the last step, 0 before the first.
    pub(crate) async fn last_step(&self) -> io::Result<u64> {
        let answer = self.ask("last\n").await?;
        answer.parse().map_err(|_| unexpected(&answer))
    }

    pub(crate) async fn write(&self, fence: Fence, step: u64) -> io::Result<Answer> {
        let writer = std::process::id();
        let answer = self
            .ask(&format!("write {fence} {step} {writer}\n"))
            .await?;
        match answer.as_str() {
            "accepted" => Ok(Answer::Accepted),
            "refused" => Ok(Answer::Refused),
            _ => Err(unexpected(&answer)),
        }
    }

    async fn ask(&self, request: &str) -> io::Result<String> {
        let mut connection = TcpStream::connect(&self.address).await?;
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        Ok(answer.trim_end().to_owned())
    }
}

fn unexpected(answer: &str) -> io::Error {
    io::Error::other(format!("the journal answered {answer:?}"))
}
