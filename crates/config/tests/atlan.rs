//! Files written from Atlan's documentation, and one for its Python SDK, whose names differ.

mod common;

use std::time::Duration;

use common::{from_file, password, sentinel, setting, standalone, warnings};
use leasehold_config::{Endpoint, Locking, Safety};

const SENTINEL: &str = "\
# Redis Sentinel configuration
export IS_LOCKING_DISABLED=false
export REDIS_SENTINEL_HOSTS=sentinel1.example.com:26379,sentinel2.example.com:26379,sentinel3.example.com:26379
export REDIS_SENTINEL_SERVICE=mymaster
export REDIS_PASSWORD=your_secure_password
export REDIS_DB=0
";

const STANDALONE: &str = "\
# Basic Redis connection
export IS_LOCKING_DISABLED=false
export REDIS_HOST=redis.example.com
export REDIS_PORT=6379
export REDIS_PASSWORD=your_secure_password
export REDIS_DB=0
";

const RETRY: &str = "\
# Enable distributed locking (disabled by default)
export IS_LOCKING_DISABLED=false
# Seconds between lock acquisition attempts (default: 5)
export LOCK_RETRY_INTERVAL=5
";

/// Pasted whole, the block sets one variable twice: to switch locking off, and to try it locally.
const DEVELOPMENT: &str = "\
# Disable locking for faster development
export IS_LOCKING_DISABLED=true

# Or use standalone Redis for testing
export IS_LOCKING_DISABLED=false
export REDIS_HOST=localhost
export REDIS_PORT=6379
# No password required for local development
";

const PYTHON_SDK: &str = "\
IS_LOCKING_DISABLED=False
REDIS_SENTINEL_SERVICE_NAME=orders
REDIS_SENTINEL_HOSTS=10.0.0.1:26379,10.0.0.2:26379, 10.0.0.3:26379
REDIS_HOST=
REDIS_PORT=
REDIS_PASSWORD=correct-horse
LOCK_RETRY_INTERVAL_SECONDS=60
";

#[test]
fn the_sentinel_block() {
    let config = from_file(SENTINEL).expect("the documentation's block");
    let topology = sentinel(&config);
    let expected = (1..=3).map(|n| Endpoint::new(format!("sentinel{n}.example.com"), 26379));
    assert_eq!(topology.sentinels, expected.collect::<Vec<_>>());
    assert_eq!(topology.service, "mymaster");
    assert_eq!(topology.nodes.database, 0);
    assert_eq!(password(&config), Some("your_secure_password"));
    assert_eq!(topology.credentials, topology.nodes.credentials);
    assert_eq!(topology.credentials.username, "default");
    assert_eq!(config.lock.safety, Safety::Strict);
    assert_eq!(
        warnings(&config),
        [
            "REDIS_PASSWORD is still the placeholder of a documentation",
            "REDIS_SENTINEL_HOSTS is still the example.com address of a documentation",
        ]
    );
}

#[test]
fn the_standalone_block() {
    let config = from_file(STANDALONE).expect("the documentation's block");
    let topology = standalone(&config);
    assert_eq!(topology.endpoint, Endpoint::new("redis.example.com", 6379));
    assert_eq!(topology.nodes.database, 0);
    assert_eq!(password(&config), Some("your_secure_password"));
    assert_eq!(config.lock.safety, Safety::Relaxed);
}

#[test]
fn the_development_block_pasted_whole_locks() {
    let config = from_file(DEVELOPMENT).expect("the documentation's block");
    let topology = standalone(&config);
    assert_eq!(topology.endpoint, Endpoint::new("localhost", 6379));
    assert_eq!(topology.nodes.credentials.password, None);
    let (value, source) = setting(&config, "IS_LOCKING_DISABLED");
    assert_eq!(value, Some("false"));
    assert!(source.ends_with(".env:5"), "{source}");
    let warnings = warnings(&config);
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].starts_with("IS_LOCKING_DISABLED is set twice; this line counts, the one at ")
    );
}

#[test]
fn the_retry_interval_in_seconds() {
    let file = format!("{RETRY}export REDIS_HOST=localhost\n");
    let config = from_file(file).expect("the documentation's block");
    assert_eq!(config.lock.retry_interval, Duration::from_secs(5));
}

#[test]
fn the_python_sdks_names() {
    let config = from_file(PYTHON_SDK).expect("the Python SDK's names");
    let topology = sentinel(&config);
    assert_eq!(topology.service, "orders");
    assert_eq!(topology.sentinels[2], Endpoint::new("10.0.0.3", 26379));
    assert_eq!(config.lock.retry_interval, Duration::from_secs(60));
    assert_eq!(config.lock.key_prefix, "");
    assert_eq!(warnings(&config), [""; 0]);
}

#[test]
fn a_file_for_both_says_which_name_counts() {
    let file = format!("{SENTINEL}REDIS_SENTINEL_SERVICE_NAME=other\n");
    let config = from_file(file).expect("both names");
    assert_eq!(sentinel(&config).service, "mymaster");
    let warnings = warnings(&config);
    let expected = "REDIS_SENTINEL_SERVICE_NAME differs from REDIS_SENTINEL_SERVICE (";
    assert!(
        warnings.iter().any(|w| w.starts_with(expected)),
        "{warnings:?}"
    );
}

#[test]
fn nothing_set_disables_locking() {
    let config = from_file("").expect("an empty file");
    assert_eq!(config.locking, Locking::Disabled);
    assert_eq!(
        setting(&config, "IS_LOCKING_DISABLED"),
        (Some("true"), "default".to_owned())
    );
}
