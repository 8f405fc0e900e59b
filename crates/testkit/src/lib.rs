//! Real Redis and Sentinel processes for tests, and the faults to inject into them.

mod acceptor;
mod binary;
mod builder;
mod client;
mod clock;
mod conf;
mod error;
mod fake_sentinel;
mod fake_server;
mod port;
mod process;
mod proxy;
mod redis_cluster;
mod redis_server;
mod resp;
mod sentinel_cluster;
mod sentinel_server;
mod spawn;
mod unreachable;
mod wait;

pub use binary::SERVER_VARIABLE;
pub use builder::RedisServerBuilder;
pub use conf::{AclPasswords, REDIS_CONF, SENTINEL_CONF, USERS_ACL, users_acl};
pub use error::{Error, Result};
pub use fake_sentinel::{Behaviour, FakeSentinel, View};
pub use fake_server::{FakeServer, Session};
pub use process::ServerProcess;
pub use proxy::{Afterwards, Counter, Mode, Proxy};
pub use redis_cluster::{RedisCluster, RedisClusterBuilder};
pub use redis_server::{RedisServer, Role};
pub use resp::{Protocol, Reply, Request};
pub use sentinel_cluster::{SentinelCluster, SentinelClusterBuilder};
pub use sentinel_server::{SentinelServer, SentinelServerBuilder};
pub use unreachable::Unreachable;
pub use wait::{assert_eventually, wait_for, wait_until};
