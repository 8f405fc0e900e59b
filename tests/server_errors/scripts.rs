//! S19: a server that forgets its scripts.

use std::time::Duration;

use leasehold::{AcquireOptions, Released, Renewal};
use leasehold_testkit::RedisServer;
use leasehold_tests::{connect, standalone_env};

#[tokio::test(flavor = "multi_thread")]
async fn forgotten_scripts_are_sent_again() {
    let redis = RedisServer::start().expect("redis-server");
    for safety in ["relaxed", "strict"] {
        let locker = connect(standalone_env(&redis), &[("LOCK_SAFETY", safety)])
            .await
            .expect("connect");
        let forget = || redis.command(&["SCRIPT", "FLUSH"]).expect("SCRIPT FLUSH");
        let manual = AcquireOptions::new().renewal(Renewal::Every(Duration::from_secs(1)));
        for _ in 0..5 {
            forget();
            let held = locker
                .acquire("report")
                .options(&manual)
                .await
                .expect("a lease");
            forget();
            held.renew().await.expect("a renewal");
            forget();
            assert!(locker.inspect("report").await.expect("inspect").is_some());
            forget();
            assert_eq!(held.release().await.expect("a release"), Released::Released);
        }
        // Forgotten all the time, by many at once.
        let mut tasks = Vec::new();
        for number in 0..20 {
            let locker = locker.clone();
            tasks.push(tokio::spawn(async move {
                let name = format!("report-{number}");
                for _ in 0..5 {
                    let held = locker.acquire(&name).await.expect("a lease");
                    held.renew().await.expect("a renewal");
                    assert_eq!(held.release().await.expect("a release"), Released::Released);
                }
            }));
        }
        while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
            forget();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for task in tasks {
            task.await.expect("a task");
        }
    }
}
