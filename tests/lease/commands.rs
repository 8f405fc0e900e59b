//! How many commands an acquisition sends while it waits.

use std::time::{Duration, Instant};

use leasehold_testkit::RedisServer;
use leasehold_tests::{connect, scripts, soon, standalone_env};

/// The server tells when the key changes; until then there is nothing to ask.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_behind_a_plain_client_asks_seldom() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    redis
        .command(&["SET", "report", "plain", "PX", "2000"])
        .expect("SET");
    let (before, began) = (scripts(&redis), Instant::now());
    let lease = soon("the lease", locker.acquire("report"))
        .await
        .expect("a lease");
    assert!(began.elapsed() > Duration::from_millis(1_000));
    let asked = scripts(&redis) - before;
    assert!(asked < 40, "{asked} scripts");
    lease.release().await.expect("a release");
}
