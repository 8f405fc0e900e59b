//! Writing to the warehouses' store, which checks fences.

use std::io;

use leasehold_temporal::Granted;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// One holder's writes. Dropping it closes the connection, which ends the holding in the store's eyes.
pub struct Writer {
    stream: BufReader<TcpStream>,
}

impl Writer {
    pub async fn begin(
        address: &str,
        warehouse: usize,
        granted: Granted,
        workflow: &str,
        worker: &str,
    ) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut writer = Self {
            stream: BufReader::new(stream),
        };
        let Granted { slot, fence, .. } = granted;
        let line = format!("begin {warehouse} {slot} {fence} {workflow} {worker}");
        writer.ask(&line).await?;
        Ok(writer)
    }

    pub async fn write(&mut self) -> io::Result<()> {
        self.ask("write").await
    }

    pub async fn end(mut self) -> io::Result<()> {
        self.ask("end").await
    }

    async fn ask(&mut self, line: &str) -> io::Result<()> {
        let line = format!("{line}\n");
        self.stream.get_mut().write_all(line.as_bytes()).await?;
        let mut answer = String::new();
        self.stream.read_line(&mut answer).await?;
        match answer.trim() {
            "ok" => Ok(()),
            "" => Err(io::ErrorKind::UnexpectedEof.into()),
            refusal => Err(io::Error::other(refusal.to_owned())),
        }
    }
}
