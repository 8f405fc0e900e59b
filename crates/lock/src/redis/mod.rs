//! Everything that speaks to Redis and Sentinel. Knows nothing of leases.

mod batch;
mod batcher;
mod bounded;
pub(crate) mod calls;
pub(crate) mod classify;
pub(crate) mod confirm;
pub(crate) mod connection;
mod deadlines;
pub(crate) mod gate;
mod gathering;
pub(crate) mod identity;
pub(crate) mod invocation;
pub(crate) mod link;
pub(crate) mod reply;
pub(crate) mod script;
pub(crate) mod sentinel;
mod shipment;
pub(crate) mod slots;
pub(crate) mod source;
mod state;
pub(crate) mod supervision;
pub(crate) mod supervisor;
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
mod wire;
