//! Leases over Redis and Sentinel: time-limited, renewed, fenced, released by their owner alone.
//!
//! A lease gives one holder at a time the right to a resource, for a limited time that is renewed
//! in the background. If it cannot be renewed, its holder is told *before* anybody else can be
//! granted. Every grant carries a [`Fence`] that never goes back, so that the resource itself can
//! refuse a holder that was paused for too long.
//!
//! ```no_run
//! # async fn write_report(_: leasehold::Fence) {}
//! # #[tokio::main]
//! # async fn main() -> Result<(), leasehold::Error> {
//! use leasehold::Locker;
//!
//! let locker = Locker::from_env().await?;
//! locker.with_lock("nightly-report", async |lease| {
//!     write_report(lease.fence()).await;
//! }).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The configuration comes from the environment and a `.env` file, see [`Config`]. With
//! `IS_LOCKING_DISABLED=true` the same program runs without Redis, and with a [`MemoryStore`] its
//! tests do.
//!
//! On the wire a lease is the plain recipe, `SET key token NX PX ttl` and compare-and-delete, so it
//! excludes and is excluded by every client that uses it.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! | --- | --- | --- |
//! | `tls` | yes | TLS to data nodes and Sentinels, by rustls. Without it a configuration that asks for TLS is an error |
//! | `metrics` | no | counters, gauges and histograms through the `metrics` facade, and [`AcquireOptions::label`] has an effect |
//! | `probe` | no | the module `probe`, which asks single servers directly, for programs like `leasehold doctor` |
//!
//! Spans and events go to `tracing` in any case. Features only add: each may be switched on by any
//! crate of a program. The oldest Rust that works is 1.88; raising it is a minor version.

mod admin;
mod backend;
pub mod blocking;
mod clock;
mod error;
mod fence;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod grants;
mod holder;
mod lease;
mod leases;
mod lifecycle;
mod locker;
mod master;
mod options;
#[cfg(feature = "probe")]
pub mod probe;
mod protocol;
mod request;
mod resource;
mod sentinel;
mod slots;
mod telemetry;
mod ticket;
mod token;
mod transport;
mod unavailable;

pub use admin::{Forced, Listed, Page};
pub use backend::memory::MemoryStore;
pub use error::{Error, GateClosed, Held, LostReason, TtlBound};
pub use fence::{Fence, InvalidFence};
pub use grants::Grants;
pub use holder::Holder;
pub use lease::{Lease, LeaseWatch, Released};
pub use leasehold_config::{self as config, Config, ConfigError, Endpoint, Renewal, Safety};
pub use leases::Leases;
pub use locker::Locker;
pub use options::AcquireOptions;
pub use request::Acquire;
pub use resource::{InvalidResource, Resource};
pub use slots::Slots;
pub use ticket::Ticket;
pub use unavailable::{Cause, Unavailable};
