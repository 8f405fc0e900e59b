//! Writing to the register.

use std::time::Duration;

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::Mutex,
    time::timeout,
};

/// The register answers at once unless this process, or the register's, is starved.
const PATIENCE: Duration = Duration::from_secs(2);

/// A connection to the register, made when it is first needed.
#[derive(Debug)]
pub(super) struct Orders {
    register: String,
    connection: Mutex<Option<BufReader<TcpStream>>>,
}

impl Orders {
    pub(super) fn new(register: &str) -> Self {
        Self {
            register: register.to_owned(),
            connection: Mutex::new(None),
        }
    }

    /// Writes under a lease. The outcome is in the register's own history.
    pub(super) async fn write(&self, process: &str, operation: u64, resource: &str, fence: i64) {
        let line = format!("{process} {operation} {resource} {fence}\n");
        let mut connection = self.connection.lock().await;
        if !matches!(
            timeout(PATIENCE, self.send(&mut connection, &line)).await,
            Ok(Ok(()))
        ) {
            *connection = None;
        }
    }

    async fn send(
        &self,
        connection: &mut Option<BufReader<TcpStream>>,
        line: &str,
    ) -> std::io::Result<()> {
        let stream = match connection {
            Some(stream) => stream,
            None => connection.insert(BufReader::new(TcpStream::connect(&self.register).await?)),
        };
        stream.write_all(line.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_line(&mut answer).await.map(drop)
    }
}
