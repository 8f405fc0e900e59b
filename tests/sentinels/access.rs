//! S14: users of the Sentinels with few rights.

use leasehold_testkit::SentinelCluster;
use leasehold_tests::{blocking, connect, lease, refusal, sentinel_env};

use crate::holds;

/// The user of the official client specification: it may neither subscribe nor list all masters.
const DOCUMENTED: &str = "on >app-secret -@all +auth +client|getname +client|id +client|setname \
                          +command +hello +ping +role +sentinel|get-master-addr-by-name \
                          +sentinel|master +sentinel|myid +sentinel|replicas +sentinel|sentinels";

const LOGIN: [(&str, &str); 3] = [
    ("REDIS_SENTINEL_USERNAME", "app"),
    ("REDIS_SENTINEL_PASSWORD", "app-secret"),
    ("LOCK_SAFETY", "relaxed"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_subscribe_is_served_by_polling() {
    let cluster = SentinelCluster::builder()
        .sentinel_config("user app", DOCUMENTED)
        .start()
        .expect("a cluster");
    let locker = connect(sentinel_env(&cluster), &LOGIN)
        .await
        .expect("connect");
    let before = lease(&locker, "report").await;
    let fence = before.fence();
    before.release().await.expect("a release");
    let old = blocking(|| cluster.kill_master()).expect("SIGKILL");
    let after = lease(&locker, "report").await;
    assert!(fence < after.fence());
    let new = blocking(|| cluster.wait_for_new_master(old)).expect("a new master");
    assert!(holds(cluster.node(new)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_ask_is_told_so() {
    let cluster = SentinelCluster::builder()
        .sentinel_config("user app", "on >app-secret -@all +hello +ping")
        .start()
        .expect("a cluster");
    assert_eq!(
        refusal(sentinel_env(&cluster), &LOGIN).await,
        format!(
            "Sentinel {}: the user lacks a permission (this user has no permissions to run the \
             'sentinel|master' command); give the user of the Sentinels +sentinel|master, \
             +sentinel|get-master-addr-by-name, +sentinel|sentinels, +sentinel|replicas, +sentinel|myid and +subscribe",
            cluster.sentinel(0).address()
        )
    );
}
