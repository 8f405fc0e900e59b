//! Real Redis and Sentinel processes for tests, and the faults to inject into them.
//!
//! A stand-in for Redis agrees with its author. This crate starts the real thing, on free ports of the loopback
//! interface and in temporary directories, breaks it in the ways in which it breaks in production, and removes
//! everything when the values are dropped, when a test panics, and when the test process is killed.
//!
//! ```
//! use std::time::Duration;
//! use leasehold_testkit::{Mode, Proxy, RedisServer, assert_eventually};
//!
//! let server = RedisServer::builder().append_only(true).start()?;
//! let proxy = Proxy::start(server.address())?;
//! // … connect a client to proxy.address() …
//! proxy.set_mode(Mode::Blackhole)?;
//! // … it must notice; what it sends now arrives when the black hole closes …
//! proxy.set_mode(Mode::Pass)?;
//!
//! server.command(&["SET", "order", "42"])?;
//! server.kill();
//! server.restart()?;
//! assert_eventually("the value to be back", Duration::from_secs(1), || {
//!     server.cli(&["GET", "order"]).is_ok_and(|value| value == "42")
//! });
//! # Ok::<(), leasehold_testkit::Error>(())
//! ```
//!
//! # What there is
//!
//! | to have | take |
//! | --- | --- |
//! | one server | [`RedisServer`] |
//! | a master, replicas and Sentinels | [`SentinelCluster`], or [`SentinelServer`] by hand |
//! | the same, with processes that move to other ports behind stable addresses | [`MovingCluster`] |
//! | slots shared among masters | [`RedisCluster`] |
//! | a program of the test's own, under the same faults | [`ChildProcess`] |
//! | a server or Sentinel that lies, hangs or talks nonsense | [`FakeServer`], [`FakeSentinel`], [`Unreachable`] |
//!
//! With the feature `certificates` an `Authority` issues what a server needs to speak TLS, valid or not.
//!
//! # What can be broken
//!
//! | fault | how |
//! | --- | --- |
//! | crash, restart, restart with an empty data set | [`kill`](ServerProcess::kill), [`restart`](ServerProcess::restart), [`restart_empty`](RedisServer::restart_empty) |
//! | a process that hangs | [`pause`](ServerProcess::pause), [`resume`](ServerProcess::resume) |
//! | failover: forced, coordinated, by a crash | [`failover`](SentinelCluster::failover), [`coordinated_failover`](SentinelCluster::coordinated_failover), [`kill_master`](SentinelCluster::kill_master) |
//! | lost replies, half-open connections, black holes, delays | [`Proxy`] |
//! | partitions, one-way partitions, packet loss | [`netns`] (root on Linux) |
//! | a backup or a tool that replicates without being a replica | [`Listener`] |
//! | a clock that jumps or runs ahead | [`set_clock_offset`](RedisServer::set_clock_offset) (Linux and a C compiler) |
//!
//! # Good to know
//!
//! - Everything blocks, everything is `Send` and `Sync`, and all faults take `&self`: inject them from one thread while
//!   others use the servers. In asynchronous tests wrap what waits in `spawn_blocking`.
//! - Nothing is written to disk unless asked for: a plain [`restart`](ServerProcess::restart) is an empty restart.
//! - Wait for conditions, with [`wait_until`], [`wait_for`] and [`assert_eventually`], not for time to pass.
//! - With Sentinel's periods shortened (Redis 7) a forced failover takes about a second, and one after a crash as much
//!   plus the time until the master counts as down (half a second): the promoted replica is asked whether it obeyed once
//!   a second, which cannot be changed.
//! - The servers' configuration begins with this project's own files ([`REDIS_CONF`], [`SENTINEL_CONF`]).
//! - `LEASEHOLD_REDIS_SERVER` names another server program, such as `valkey-server`.
//! - `LEASEHOLD_REDIS_SETTINGS` gives every data node more directives, separated by semicolons, such as
//!   `repl-diskless-sync-delay 0; repl-rdb-channel yes`.
//! - `LEASEHOLD_TEST_RIGHTS=least` gives clients that do not log in the rights of the user `leasehold` of this project's access
//!   control list, and no more; the kit's own commands go by another user.
//! - When a test process is killed with `SIGKILL`, the kernel kills its servers (on Linux), but their directories stay in
//!   the temporary directory.

mod acceptor;
mod binary;
#[cfg(feature = "certificates")]
mod certificates;
mod child;
mod client;
mod clock;
mod conf;
mod error;
mod fake_sentinel;
mod fake_server;
mod listener;
mod moving_cluster;
pub mod netns;
mod port;
mod process;
mod proxy;
mod redis_cluster;
mod redis_server;
mod resp;
mod rights;
mod sentinel_cluster;
mod sentinel_server;
mod settings;
mod spawn;
mod unreachable;
mod wait;

pub use binary::SERVER_VARIABLE;
#[cfg(feature = "certificates")]
pub use certificates::{Authority, Certificate};
pub use child::ChildProcess;
pub use conf::{AclPasswords, REDIS_CONF, SENTINEL_CONF, USERS_ACL, users_acl};
pub use error::{Error, Result};
pub use fake_sentinel::{Behaviour, FakeSentinel, View};
pub use fake_server::{FakeServer, Session};
pub use listener::Listener;
pub use moving_cluster::MovingCluster;
pub use process::ServerProcess;
pub use proxy::{Afterwards, Counter, Mode, Proxy};
pub use redis_cluster::{RedisCluster, RedisClusterBuilder};
pub use redis_server::{RedisServer, RedisServerBuilder, Role};
pub use resp::{Protocol, Reply, Request};
pub use rights::RIGHTS_VARIABLE;
pub use sentinel_cluster::{SentinelCluster, SentinelClusterBuilder};
pub use sentinel_server::{FormerPort, SentinelServer, SentinelServerBuilder};
pub use settings::SETTINGS_VARIABLE;
pub use unreachable::Unreachable;
pub use wait::{assert_eventually, wait_for, wait_until};
