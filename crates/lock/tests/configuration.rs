//! No locker works with values that are out of bounds, whichever way they come in.

use std::time::Duration;

use leasehold::config::{LockOptions, Locking, StandaloneTopology};
use leasehold::{AcquireOptions, Config, Endpoint, Error, Locker, MemoryStore, Renewal};

/// The variables that an error blames.
fn blamed(error: &Error) -> Vec<String> {
    match error {
        Error::Config(error) => {
            let problems = error.problems().iter();
            problems
                .map(|problem| problem.variable().to_owned())
                .collect()
        }
        other => panic!("not about the configuration: {other}"),
    }
}

fn zero_intervals(options: &mut LockOptions) {
    options.retry_interval = Duration::ZERO;
    options.renewal = Renewal::Every(Duration::ZERO);
    options.acquire_timeout = Some(Duration::MAX);
}

const BLAMED: [&str; 3] = [
    "LOCK_RETRY_INTERVAL",
    "LOCK_ACQUIRE_TIMEOUT",
    "LOCK_RENEW_INTERVAL",
];

#[tokio::test]
async fn a_configuration_made_in_code_is_checked_before_anything_is_connected_to() {
    let nobody = StandaloneTopology::new(Endpoint::new("redis.invalid", 6379));
    for mut config in [Config::new(nobody), Config::new(Locking::Disabled)] {
        zero_intervals(&mut config.lock);
        let error = Locker::connect(config).await.expect_err("zero intervals");
        assert_eq!(blamed(&error), BLAMED);
    }
    let mut nowhere = StandaloneTopology::new(Endpoint::new("", 0));
    nowhere.nodes.command_timeout = Duration::ZERO;
    let error = Locker::connect(Config::new(nowhere)).await;
    let error = error.expect_err("no address");
    assert_eq!(blamed(&error), ["REDIS_HOST", "REDIS_COMMAND_TIMEOUT"]);
}

#[tokio::test]
async fn options_of_a_memory_locker_are_checked() {
    let mut options = LockOptions::default();
    zero_intervals(&mut options);
    let error = Locker::in_memory_with(&MemoryStore::new(), options).expect_err("zero intervals");
    assert_eq!(blamed(&error), BLAMED);
}

#[tokio::test]
async fn the_renewal_of_one_lease_is_checked() {
    let locker = Locker::in_memory(&MemoryStore::new());
    let often = AcquireOptions::new().renewal(Renewal::Every(Duration::ZERO));
    let error = locker.try_acquire("report").options(&often).await;
    let error = error.expect_err("renews without pause");
    assert_eq!(blamed(&error), ["LOCK_RENEW_INTERVAL"]);
}
