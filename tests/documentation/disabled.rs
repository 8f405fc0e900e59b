//! With locking disabled nothing is connected to, whatever else is configured.

use std::time::Duration;

use leasehold::{AcquireOptions, Released};
use leasehold_testkit::FakeServer;
use leasehold_tests::{connect, lease};

#[tokio::test(flavor = "multi_thread")]
async fn disabled_locking_connects_nowhere() {
    let decoy = FakeServer::mute().expect("a listener");
    let address = decoy.address();
    let port = decoy.port().to_string();
    let url = decoy.url();
    for servers in [
        &[("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", &port)][..],
        &[("REDIS_URL", &url)],
        &[
            ("REDIS_SENTINEL_HOSTS", &address),
            ("REDIS_SENTINEL_SERVICE", "mymaster"),
        ],
        &[("REDIS_CLUSTER_NODES", &address)],
        &[("LOCK_REDLOCK_NODES", &url)],
    ] {
        let mut overrides = vec![
            ("IS_LOCKING_DISABLED", "true"),
            ("REDIS_PASSWORD", "secret"),
        ];
        overrides.extend_from_slice(servers);
        let locker = connect([], &overrides).await.expect("a locker");
        assert!(!locker.is_enabled());
        let short = AcquireOptions::new().ttl(Duration::from_millis(600));
        let held = locker
            .acquire("report")
            .options(&short)
            .await
            .expect("a lease");
        let also = lease(&locker, "report").await;
        assert!(held.fence() < also.fence());
        // Past several renewals.
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        assert!(held.is_valid());
        held.renew().await.expect("a renewal");
        let done = locker.with_lock("report", async |_| 7).await;
        assert_eq!(done.expect("the work"), 7);
        assert!(locker.inspect("report").await.expect("inspect").is_none());
        assert_eq!(held.release().await.expect("a release"), Released::Released);
        drop(also);
        locker.close(Duration::from_secs(1)).await.expect("an end");
    }
    assert_eq!(decoy.connections(), 0);
}
