//! Leases over Redis and Sentinel: limited in time, renewed, fenced, and released by their owner alone.
//!
//! A lease gives one holder at a time the right to a resource, for a limited time that is renewed
//! in the background. If it cannot be renewed, its holder is told *before* another client can be
//! granted. Every grant carries a [`Fence`] that grows with each grant, so that the resource itself
//! can refuse a holder that was paused for too long.
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
//! On the wire a lease is the plain recipe, `SET key token NX PX ttl` and compare-and-delete, so it
//! excludes and is excluded by every client that uses it.
//!
//! # The tour
//!
//! | to | use |
//! | --- | --- |
//! | connect | [`Locker::from_env`], or [`Locker::connect`] with a [`Config`] built in code |
//! | wait for a lease, or not | [`Locker::acquire`], [`Locker::try_acquire`]; both take [options](Acquire) before the `await` |
//! | run work under a lease | [`Acquire::with_lock`], or [`Lease::guard`] around a future |
//! | notice a loss | [`Lease::check`] before a step, [`Lease::watch`] from other tasks |
//! | have a stale write refused | [`Lease::fence`] |
//! | allow N holders | [`Locker::slots`] |
//! | lease several resources | [`Locker::acquire_all`] |
//! | hand a lease to another process | [`Lease::into_ticket`], [`Locker::adopt`] |
//! | see who holds a resource | [`Locker::inspect`], [`Locker::list`] |
//! | see whether strict mode grants | [`Locker::grants`] |
//! | work without an async runtime | [`blocking::Locker`] |
//! | test without Redis | [`Locker::in_memory`] with a [`MemoryStore`] |
//!
//! # Words
//!
//! | word | meaning |
//! | --- | --- |
//! | resource | what is locked: a name, and the key in Redis |
//! | lease | a grant of a resource to one holder, until its deadline |
//! | owner | the holder's name, for people |
//! | token | the secret value of the key, which proves who holds it |
//! | TTL | how long a lease lasts unless it is renewed |
//! | deadline | when the holder counts its lease as lost, a little before the key expires |
//! | fence | a number that grows with each grant |
//! | gate | strict mode: closed after a failover until no earlier lease can still run |
//! | slot | one of N leases of one resource |
//! | ticket | a lease in writing, for another process |
//!
//! # Configuration
//!
//! [`Locker::from_env`] reads the environment and a `.env` file. `IS_LOCKING_DISABLED` must be set
//! wherever anything else is: `false` takes locks, `true` grants everything and connects nowhere.
//!
//! | variable | meaning |
//! | --- | --- |
//! | `IS_LOCKING_DISABLED` | whether locks are taken |
//! | `REDIS_HOST`, `REDIS_PORT`, or `REDIS_URL` | one server |
//! | `REDIS_SENTINEL_HOSTS`, `REDIS_SENTINEL_SERVICE` | Sentinels, and the name of their master |
//! | `REDIS_CLUSTER_NODES` | a Redis Cluster |
//! | `LOCK_REDLOCK_NODES` | a majority of independent masters |
//! | `REDIS_USERNAME`, `REDIS_PASSWORD`, `REDIS_TLS_ENABLED` | how to log in |
//! | `LOCK_TTL` | the length of a lease: how long a crashed holder blocks the others |
//! | `LOCK_MAX_TTL` | the longest lease of any client; the longest pause after a failover in strict mode |
//! | `LOCK_ACQUIRE_TIMEOUT` | how long `acquire` waits |
//! | `LOCK_SAFETY` | `strict` or `relaxed` |
//!
//! These are the frequent ones. `docs/configuration.md` in the repository has all of them, with their
//! defaults; `.env.example` is a file to copy.
//!
//! # Matching on errors
//!
//! `Display` of an [`Error`] is what happened and what to do; [`source`](std::error::Error::source)
//! is what caused it. `acquire` tries again by itself while an error
//! [is retryable](Error::is_retryable), until its timeout.
//!
//! ```
//! use leasehold::{Error, Locker};
//!
//! async fn run_once(locker: &Locker) -> Result<(), Error> {
//!     match locker.try_acquire("nightly-report").with_lock(async |_lease| {}).await {
//!         Ok(()) => println!("done"),
//!         Err(Error::Held(held)) => println!("not now: {held}"),
//!         Err(Error::GateClosed(closed)) => println!("after a failover: {closed}"),
//!         Err(Error::Lost { reason, .. }) => println!("stopped in the middle: {reason}"),
//!         Err(error) if error.is_retryable() => println!("later: {error}"),
//!         Err(error) => return Err(error),
//!     }
//!     Ok(())
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! # run_once(&Locker::in_memory(&leasehold::MemoryStore::new())).await
//! # }
//! ```
//!
//! # The modules
//!
//! ```text
//!   your program
//!        │
//!   locker  request  lease  slots  ticket  blocking      what a program sees
//!        │
//!   lifecycle/     wait, acquire, renew, release         queue, lease scheduler, cleanup worker
//!        │
//!   backend/       one master, quorum, cluster, memory   where a lock is kept
//!        │
//!   master/ ────── sentinel/                             supervision, gate, confirmation; who is master
//!        │
//!   protocol/      scripts, commands, replies            what is sent
//!        │
//!   transport/     connection, limits, TLS, errors       the wire
//!
//!   telemetry/     spans, events, metrics                used by all
//! ```
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
//!
//! # The book
//!
//! In the repository: `docs/concepts.md` explains the words with code, `docs/choosing.md` how to set
//! `LOCK_TTL` and the mode, `docs/guarantees.md` what holds under which fault, `docs/stuck-locks.md`
//! what to do when nothing is granted, `docs/architecture.md` where things are in the code.

mod admin;
mod backend;
pub mod blocking;
#[cfg(not(feature = "broken"))]
mod broken;
#[cfg(feature = "broken")]
#[doc(hidden)]
pub mod broken;
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
mod sync;
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
