//! Lockers of ours over the test kit's servers.

use leasehold::{Config, Locker};
use leasehold_testkit::{RedisServer, SentinelCluster};

use crate::Result;

/// A locker of its own, with its own connection, over one Redis.
///
/// # Errors
///
/// When it cannot connect.
pub async fn standalone(server: &RedisServer, overrides: &[(&str, &str)]) -> Result<Locker> {
    connect(standalone_env(server.port()), overrides).await
}

/// As [`standalone`], over whatever is at a port.
///
/// # Errors
///
/// When it cannot connect.
pub async fn at_port(port: u16) -> Result<Locker> {
    connect(standalone_env(port), &[]).await
}

/// A locker over a Sentinel cluster.
///
/// # Errors
///
/// When it cannot connect.
pub async fn sentinel(cluster: &SentinelCluster, overrides: &[(&str, &str)]) -> Result<Locker> {
    let mut variables = vec![("IS_LOCKING_DISABLED".to_owned(), "false".to_owned())];
    variables.extend(cluster.env());
    connect(variables, overrides).await
}

/// A locker over independent masters.
///
/// # Errors
///
/// When it cannot connect to a majority of them.
pub async fn quorum(urls: &[String]) -> Result<Locker> {
    connect(quorum_env(&urls.join(",")), &[]).await
}

/// The variables of a worker that uses the independent masters at these URLs, separated by commas.
#[must_use]
pub fn quorum_env(nodes: &str) -> Vec<(String, String)> {
    let variables = [
        ("IS_LOCKING_DISABLED", "false"),
        ("LOCK_REDLOCK_NODES", nodes),
        ("LOCK_TTL", "3s"),
        ("LOCK_MAX_TTL", "3s"),
        ("REDIS_COMMAND_TIMEOUT", "500ms"),
    ];
    variables
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

/// The variables of a worker that uses the Redis at this port; everything else is as by default.
#[must_use]
pub fn standalone_env(port: u16) -> Vec<(String, String)> {
    let port = port.to_string();
    let variables = [
        ("IS_LOCKING_DISABLED", "false"),
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &port),
    ];
    variables
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

async fn connect(
    mut variables: Vec<(String, String)>,
    overrides: &[(&str, &str)],
) -> Result<Locker> {
    variables.retain(|(name, _)| !overrides.iter().any(|(other, _)| name == other));
    let overrides = overrides
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    variables.extend(overrides);
    Ok(Locker::connect(Config::from_vars(variables)?).await?)
}
