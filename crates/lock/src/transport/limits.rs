//! A stream that a server cannot flood.
//!
//! Nothing that the SDK asks has a long answer, but the parser keeps what it has read until a reply
//! is whole, and a hostile or broken server may never end one. So the bytes that may
//! follow a question are limited.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Far more than the longest answer, which is one step through the keys of a large Redis. A
/// connection that asks nothing hears little, and each question begins a new count.
const MOST: u64 = 16 * 1024 * 1024;

/// A stream that fails once more than [`MOST`] bytes came in since something was last written.
pub(crate) struct Bounded<S> {
    stream: S,
    read: u64,
}

impl<S> Bounded<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, read: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read > MOST {
            let flood = "more than any answer of Redis";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, flood)));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.read += (buffer.filled().len() - before) as u64;
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.read = 0;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, repeat};

    use super::*;

    #[tokio::test]
    async fn a_flood_ends_the_stream_and_a_question_starts_anew() {
        let endless = tokio::io::join(repeat(b'x'), tokio::io::sink());
        let mut stream = Bounded::new(endless);
        // One read may go beyond the bound, by no more than the reader's own buffer.
        let mut buffer = [0; 64 * 1024];
        let mut taken = 0;
        let error = loop {
            match stream.read(&mut buffer).await {
                Ok(count) => taken += count as u64,
                Err(error) => break error,
            }
            assert!(taken <= MOST + buffer.len() as u64);
        };
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(taken > MOST);
        stream.write_all(b"PING").await.expect("a write");
        assert!(stream.read(&mut [0; 8]).await.is_ok());
    }
}
