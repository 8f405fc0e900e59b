//! The Redlock crate for Rust, on one node: `SET NX PX`, a script that compares and deletes, and a
//! random pause of up to 200 ms between attempts.

use std::time::Duration;

use leasehold_testkit::RedisServer;
use rslock::{LockGuard, LockManager};

use crate::Result;

/// As long as our own default.
const TTL: Duration = Duration::from_secs(30);

/// A manager with a connection of its own.
#[must_use]
pub fn manager(server: &RedisServer) -> LockManager {
    LockManager::new(vec![server.url()])
}

/// Waits for the lock.
///
/// # Errors
///
/// When the crate gives up.
pub async fn acquire(manager: &LockManager, resource: &str) -> Result<LockGuard> {
    Ok(manager.acquire(resource, TTL).await?)
}
