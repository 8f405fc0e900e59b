//! One connection to one server: opening, sending, limits, and what its errors mean.

pub(crate) mod close_signal;
pub(crate) mod connection;
#[cfg(test)]
pub(crate) mod fake_server;
pub(crate) mod gathering;
pub(crate) mod limits;
pub(crate) mod login;
pub(crate) mod server_errors;
#[cfg(feature = "tls")]
pub(crate) mod tls;
#[cfg(not(feature = "tls"))]
#[path = "tls_absent.rs"]
pub(crate) mod tls;
#[cfg(feature = "tls")]
pub(crate) mod tls_fault;
#[cfg(feature = "tls")]
pub(crate) mod tls_insecure;
