//! Everything that speaks to Redis and Sentinel. Knows nothing of leases.

mod bounded;
pub(crate) mod calls;
pub(crate) mod classify;
pub(crate) mod confirm;
pub(crate) mod connection;
mod ending;
pub(crate) mod fences;
pub(crate) mod gate;
pub(crate) mod gate_replies;
pub(crate) mod grant;
pub(crate) mod identity;
pub(crate) mod link;
pub(crate) mod look;
pub(crate) mod reply;
pub(crate) mod script;
pub(crate) mod sentinel;
pub(crate) mod server_clock;
pub(crate) mod slots;
pub(crate) mod source;
mod state;
pub(crate) mod supervision;
pub(crate) mod supervisor;
pub(crate) mod takeover;
#[cfg(feature = "tls")]
pub(crate) mod tls;
#[cfg(not(feature = "tls"))]
#[path = "tls_absent.rs"]
pub(crate) mod tls;
#[cfg(feature = "tls")]
mod tls_fault;
#[cfg(feature = "tls")]
mod tls_insecure;
pub(crate) mod topology;
pub(crate) mod verify;
pub(crate) mod waiter;
