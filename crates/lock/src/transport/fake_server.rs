//! In tests, a server that answers each command as it is told to.

use std::sync::Arc;

use leasehold_config::{Credentials, Endpoint};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use crate::transport::connection::{CloseSignal, Connection, ConnectionSettings};

/// What the server answers to a command, as it goes over the wire.
type Answers = dyn Fn(&[String]) -> String + Send + Sync;

pub(crate) struct FakeServer {
    pub(crate) node: Endpoint,
    _task: AbortOnDropHandle<()>,
}

impl FakeServer {
    pub(crate) async fn start(
        answers: impl Fn(&[String]) -> String + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let answers: Arc<Answers> = Arc::new(answers);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answers.clone()));
            }
        });
        Self {
            node: Endpoint::new("127.0.0.1", port),
            _task: AbortOnDropHandle::new(task),
        }
    }

    pub(crate) async fn connect(&self) -> Connection {
        let settings = settings();
        let opening = Connection::open(&self.node, &settings, CloseSignal::default(), |_| {});
        opening.await.expect("a connection")
    }
}

pub(crate) fn settings() -> ConnectionSettings {
    let patience = std::time::Duration::from_secs(5);
    ConnectionSettings {
        credentials: Credentials::default(),
        database: 0,
        connect_timeout: patience,
        command_timeout: patience,
        client_name: None,
        tls: None,
    }
}

/// A text as a reply.
pub(crate) fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

async fn serve(mut stream: TcpStream, answers: Arc<Answers>) {
    let mut received = Vec::new();
    loop {
        while let Some((words, length)) = command(&received) {
            received.drain(..length);
            let answer = match words[0].as_str() {
                "HELLO" => "%1\r\n$5\r\nproto\r\n:3\r\n".to_owned(),
                "CLIENT" => "+OK\r\n".to_owned(),
                _ => answers(&words),
            };
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
        if stream.read_buf(&mut received).await.unwrap_or(0) == 0 {
            return;
        }
    }
}

/// The first command in what was received, and its length.
fn command(received: &[u8]) -> Option<(Vec<String>, usize)> {
    let mut rest = received;
    let count = line(&mut rest)?;
    let words = (0..count).map(|_| {
        let length = line(&mut rest)?;
        let word = rest.get(..length)?;
        rest = rest.get(length + 2..)?;
        Some(String::from_utf8_lossy(word).into_owned())
    });
    let words: Option<Vec<String>> = words.collect();
    Some((words?, received.len() - rest.len()))
}

/// The number in a line such as `*3` or `$5`.
fn line(rest: &mut &[u8]) -> Option<usize> {
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let number = std::str::from_utf8(&rest[1..end]).ok()?.parse().ok()?;
    *rest = &rest[end + 2..];
    Some(number)
}
