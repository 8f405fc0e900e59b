//! The stand-in for TLS in a build without the feature `tls`: a configuration that asks for it is
//! an error, and no connection ever gets here.

use leasehold_config::{Endpoint, Tls};
use tokio::net::TcpStream;

use crate::unavailable::Cause;

#[derive(Debug, Clone)]
pub(crate) enum TlsClient {}

impl TlsClient {
    pub(crate) fn load(_: &Tls) -> Result<Self, Cause> {
        Err(Cause::Tls {
            detail: "this build has none: enable the feature `tls` of the crate `leasehold`".into(),
        })
    }

    pub(crate) fn expecting(self, _: &str) -> Self {
        match self {}
    }

    pub(crate) async fn wrap(&self, _: &Endpoint, _: TcpStream) -> Result<TlsStream, Cause> {
        match *self {}
    }
}

/// What a TLS stream would be.
pub(crate) type TlsStream = TcpStream;

/// What a TLS stream would have told of itself.
pub(crate) fn fault(_: &TlsStream) -> Fault {
    Fault
}

/// Never holds anything.
#[derive(Clone)]
pub(crate) struct Fault;

impl Fault {
    pub(crate) fn cause(&self) -> Option<Cause> {
        None
    }
}
