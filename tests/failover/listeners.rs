//! Who lets the master send it the data and is no data node: a backup by `redis-cli --rdb`, a tool that follows the
//! changes.

use std::time::Duration;

use leasehold::Error;
use leasehold_testkit::{Listener, RedisServer};
use leasehold_tests::{
    PATIENCE, blocking, connect, eventually, lease, patient, sentinel_env, soon,
};

/// How many connections replicate from the master.
fn replicating(master: &RedisServer) -> String {
    blocking(|| master.info("replication")).expect("INFO")["connected_slaves"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_listener_holds_nothing_up_and_leaves_no_data_node_behind() {
    let cluster = patient().start().expect("a cluster");
    let locker = connect(sentinel_env(&cluster), &[]).await.expect("connect");
    let master = blocking(|| cluster.master()).expect("a master");
    drop(lease(&locker, "before").await);

    let listener = blocking(|| Listener::silent(master)).expect("a listener");
    eventually("the Sentinels list it", async || {
        blocking(|| {
            cluster.sentinels().iter().all(|sentinel| {
                let replicas = sentinel.replicas().unwrap_or_default();
                replicas.iter().any(|replica| replica["port"] == "0")
            })
        })
    })
    .await;
    drop(lease(&locker, "meanwhile").await);
    let replicas = blocking(|| cluster.replica_indices()).expect("replicas");
    cluster.node(replicas[0]).pause().expect("SIGSTOP");
    // What acknowledges nothing is told by its silence from what may have.
    drop(lease(&locker, "with one replica less").await);
    drop(listener);
    eventually("it is gone", async || replicating(master) == "2").await;

    // Whoever was there before it, and whoever comes after it.
    drop(lease(&locker, "after").await);
    let other = connect(sentinel_env(&cluster), &[]).await.expect("connect");
    drop(lease(&other, "by another").await);
    cluster.node(replicas[0]).resume().expect("SIGCONT");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_listener_acknowledges_confirms_nothing() {
    let cluster = patient().start().expect("a cluster");
    let locker = connect(sentinel_env(&cluster), &[]).await.expect("connect");
    let master = blocking(|| cluster.master()).expect("a master");
    drop(lease(&locker, "before").await);

    let _listener = blocking(|| Listener::acknowledging(master)).expect("a listener");
    eventually("it acknowledges", async || {
        blocking(|| master.wait_for_replicas(3, Duration::from_millis(100))).is_ok()
    })
    .await;
    // The gate's claim has to be written again, for it was synchronised in full.
    drop(lease(&locker, "meanwhile").await);
    let replicas = blocking(|| cluster.replica_indices()).expect("replicas");
    for index in &replicas {
        cluster.node(*index).pause().expect("SIGSTOP");
    }
    let refused = soon("the refusal", locker.try_acquire("report")).await;
    let refused = refused.expect_err("no data node confirms");
    let is_told = matches!(
        refused,
        Error::NotReplicated {
            acknowledged: 1,
            needed: 2,
            data_nodes: 3,
            ..
        }
    );
    assert!(is_told, "{refused:?}");
    for index in &replicas {
        cluster.node(*index).resume().expect("SIGCONT");
    }
    blocking(|| master.wait_for_replicas(3, PATIENCE)).expect("replicas in step");
    drop(lease(&locker, "after").await);
}
