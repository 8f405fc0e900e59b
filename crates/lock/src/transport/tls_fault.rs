//! The error of TLS, kept for the error message.
//!
//! With TLS 1.3 the client's part of the handshake is over before the server has looked at the
//! client certificate: its refusal arrives with the first reply. By then the stream belongs to the
//! `redis` crate, which reports a broken connection and no reason. So the stream is watched.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use rustls::{AlertDescription, CertificateError, Error};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::unavailable::{Cause, printable};

/// The first complaint on a stream; the other end is with the code that opened the connection.
#[derive(Clone, Default)]
pub(crate) struct Fault(Arc<OnceLock<Cause>>);

impl Fault {
    pub(crate) fn cause(&self) -> Option<Cause> {
        self.0.get().cloned()
    }
}

/// A TLS stream that remembers the first complaint.
pub(crate) struct Watched<S> {
    stream: S,
    fault: Fault,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            fault: Fault::default(),
        }
    }

    fn note<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &polled
            && let Some(cause) = cause(error)
        {
            let _ = self.fault.0.set(cause);
        }
        polled
    }
}

/// Where the complaints of `stream` will be found.
pub(crate) fn fault<S>(stream: &Watched<S>) -> Fault {
    stream.fault.clone()
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.note(polled)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.note(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The TLS failure inside an I/O error; `None` where the network failed and not TLS.
pub(crate) fn cause(error: &io::Error) -> Option<Cause> {
    let fault = error.get_ref()?.downcast_ref::<Error>()?;
    let detail = match fault {
        Error::InvalidCertificate(reason) => certificate(reason),
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server wants a client certificate: set REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE"
                .to_owned()
        }
        Error::AlertReceived(alert) => format!("the server refused: {alert:?}"),
        Error::InvalidMessage(_) => {
            "the server answered in something other than TLS: does this port speak it?".to_owned()
        }
        other => other.to_string(),
    };
    Some(Cause::Tls {
        detail: printable(&detail),
    })
}

/// What is wrong with the server's certificate, in words for an operator.
fn certificate(reason: &CertificateError) -> String {
    match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet: compare the clocks".to_owned()
        }
        CertificateError::UnknownIssuer => {
            "the server's certificate is from an authority that REDIS_TLS_CA_FILE (or the system) \
             does not name"
                .to_owned()
        }
        CertificateError::NotValidForName => {
            "the server's certificate is for another name: set REDIS_TLS_SERVER_NAME".to_owned()
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => format!(
            "the server's certificate is for {} and not for {}: set REDIS_TLS_SERVER_NAME",
            presented.join(", "),
            expected.to_str()
        ),
        other => format!("the server's certificate is not accepted: {other}"),
    }
}
