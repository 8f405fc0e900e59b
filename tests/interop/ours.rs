//! Our workers: each with a locker and connections of its own, like a process.

use std::time::Duration;

use leasehold::{AcquireOptions, Error, Released};
use leasehold_testkit::RedisServer;
use leasehold_tests::{connect, port_env};
use tokio::task::JoinHandle;

use crate::PASSWORD;
use crate::witness::Witness;

/// Longer than anything here takes, so that no lease ends by itself.
const TTL: &str = "30s";
/// A release whose reply comes late is sent again and then finds nothing: patience keeps outcomes
/// exact on a loaded machine.
const COMMAND_TIMEOUT: &str = "8s";

pub(crate) async fn start(
    server: &RedisServer,
    witness: &Witness,
    name: &'static str,
    limit: usize,
) -> JoinHandle<()> {
    let overrides = [
        ("REDIS_PASSWORD", PASSWORD),
        ("LOCK_TTL", TTL),
        ("LOCK_MAX_TTL", TTL),
        ("REDIS_COMMAND_TIMEOUT", COMMAND_TIMEOUT),
    ];
    let locker = connect(port_env(server.port()), &overrides).await;
    let locker = locker.expect("a locker");
    let witness = witness.clone();
    let patience = AcquireOptions::new().timeout(Duration::from_secs(1));
    tokio::spawn(async move {
        let slots = locker.slots(name, limit).expect("slots");
        while !witness.is_done().await {
            let granted = match limit {
                1 => locker.acquire(name).options(&patience).await,
                _ => slots.acquire().options(&patience).await,
            };
            let lease = match granted {
                Ok(lease) => lease,
                Err(Error::TimedOut { .. }) => continue,
                Err(error) => panic!("{error}"),
            };
            witness.enter(lease.slot()).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
            lease.check().expect("a lease that runs");
            witness.leave(lease.slot()).await;
            let released = lease.release().await.expect("a release");
            assert_eq!(released, Released::Released);
            // Without a pause the same worker would often take it again at once.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
}
