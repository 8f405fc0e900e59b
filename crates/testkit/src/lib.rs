//! Real Redis and Sentinel processes for tests, and the faults to inject into them.

mod binary;
mod builder;
mod client;
mod conf;
mod error;
mod port;
mod process;
mod redis_server;
mod sentinel_cluster;
mod sentinel_server;
mod spawn;
mod wait;

pub use binary::SERVER_VARIABLE;
pub use builder::RedisServerBuilder;
pub use conf::{AclPasswords, REDIS_CONF, SENTINEL_CONF, USERS_ACL, users_acl};
pub use error::{Error, Result};
pub use process::ServerProcess;
pub use redis_server::{RedisServer, Role};
pub use sentinel_cluster::{SentinelCluster, SentinelClusterBuilder};
pub use sentinel_server::{SentinelServer, SentinelServerBuilder};
pub use wait::{assert_eventually, wait_for, wait_until};
