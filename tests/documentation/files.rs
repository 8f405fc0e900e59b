//! The blocks of Atlan's documentation, and one with the names of its Python SDK. That they are
//! *read* as they stand is held in the configuration's own tests.

use std::process::Command;

use leasehold::{Locker, Released};
use leasehold_testkit::{RedisServer, SentinelCluster};
use leasehold_tests::{lease, soon};

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

const DEVELOPMENT: &str = "\
# Disable locking for faster development
export IS_LOCKING_DISABLED=true
";

const DEVELOPMENT_STANDALONE: &str = "\
# Or use standalone Redis for testing
export IS_LOCKING_DISABLED=false
export REDIS_HOST=localhost
export REDIS_PORT=6379
# No password required for local development
";

const PYTHON_SDK: &str = "\
IS_LOCKING_DISABLED=False
REDIS_SENTINEL_SERVICE_NAME=mymaster
REDIS_SENTINEL_HOSTS=10.0.0.1:26379,10.0.0.2:26379, 10.0.0.3:26379
REDIS_HOST=
REDIS_PORT=
REDIS_PASSWORD=your_secure_password
LOCK_RETRY_INTERVAL_SECONDS=60
";

/// Runs [`worker`] as a process of its own, with `text` as the `.env` of its working directory and an
/// environment that only shortens the leases: a new Sentinel deployment grants nothing until one of
/// the longest has passed.
fn run_worker(text: &str, locks: bool) {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join(".env"), text).expect("a file");
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "files::worker", "--nocapture"])
        .env_clear()
        // Where nothing at all is configured, nothing is locked.
        .envs(
            locks
                .then_some([("LOCK_TTL", "2s"), ("LOCK_MAX_TTL", "2s")])
                .into_iter()
                .flatten(),
        )
        .env(EXPECTED, if locks { "locks" } else { "does nothing" })
        .current_dir(directory.path())
        .output()
        .expect("a worker");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}\n{said}\n{complained}");
    assert!(said.contains("1 passed"), "{said}");
    assert!(!said.contains("your_secure_password") && !complained.contains("your_secure_password"));
}

const EXPECTED: &str = "LEASEHOLD_TEST_WORKER";

/// What an application does, beginning with the `.env` in its directory.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by the other tests"]
async fn worker() {
    let locks = std::env::var(EXPECTED).expect("started by another test") == "locks";
    let locker = soon("a locker", Locker::from_env())
        .await
        .expect("a locker");
    assert_eq!(locker.is_enabled(), locks);
    let held = lease(&locker, "report").await;
    let fence = held.fence();
    assert_eq!(locker.try_acquire("report").await.is_err(), locks);
    assert!(held.is_valid());
    assert_eq!(held.release().await.expect("a release"), Released::Released);
    assert!(fence < lease(&locker, "report").await.fence());
}

fn replaced(text: &str, replacements: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (from, to) in replacements {
        assert!(text.contains(from), "{from} is not in the documentation");
        text = text.replace(from, to);
    }
    text
}

#[test]
fn the_sentinel_block_and_the_python_sdks_names() {
    let cluster = SentinelCluster::builder()
        .password("your_secure_password")
        .sentinel_password("your_secure_password")
        .start()
        .expect("a cluster");
    let [first, second, third] = &cluster.sentinel_addresses()[..] else {
        panic!("three Sentinels")
    };
    let documented = [
        ("sentinel1.example.com:26379", first.as_str()),
        ("sentinel2.example.com:26379", second),
        ("sentinel3.example.com:26379", third),
    ];
    run_worker(&replaced(SENTINEL, &documented), true);
    let python = [
        ("10.0.0.1:26379", first.as_str()),
        ("10.0.0.2:26379", second),
        ("10.0.0.3:26379", third),
    ];
    run_worker(&replaced(PYTHON_SDK, &python), true);
}

#[test]
fn the_standalone_blocks() {
    let redis = RedisServer::builder()
        .password("your_secure_password")
        .start()
        .expect("redis-server");
    let port = format!("REDIS_PORT={}", redis.port());
    let here = [
        ("redis.example.com", "127.0.0.1"),
        ("REDIS_PORT=6379", port.as_str()),
    ];
    run_worker(&replaced(STANDALONE, &here), true);

    let redis = RedisServer::start().expect("redis-server");
    let port = format!("REDIS_PORT={}", redis.port());
    let here = [("REDIS_PORT=6379", port.as_str())];
    run_worker(&replaced(DEVELOPMENT_STANDALONE, &here), true);
    // Pasted whole, the block switches locking off and on again: the last line counts.
    let whole = format!("{DEVELOPMENT}\n{DEVELOPMENT_STANDALONE}");
    run_worker(&replaced(&whole, &here), true);
}

#[test]
fn the_development_block_locks_nothing() {
    run_worker(DEVELOPMENT, false);
    run_worker("", false);
}
