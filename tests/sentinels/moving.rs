//! Sentinels as they are deployed: one name in front of all of them, addresses that cannot be reached,
//! and addresses that another group is given afterwards.

use std::time::Duration;

use leasehold::{Cause, Error, Unavailable, fuzzing};
use leasehold_config::Endpoint;
use leasehold_testkit::{RedisServer, SentinelCluster, SentinelServer};
use leasehold_tests::{
    PATIENCE, blocking, connect, connections_named, eventually, lease, refusal, sentinels_env, soon,
};

const OPTIONS: [(&str, &str); 1] = [("LOCK_SAFETY", "relaxed")];

/// A name with an address for each Sentinel: all of them are asked, and those that are added later.
#[tokio::test(flavor = "multi_thread")]
async fn every_address_behind_one_name_is_asked_and_asked_for_again() {
    let cluster = SentinelCluster::builder()
        .down_after(PATIENCE)
        .start()
        .expect("a cluster");
    let endpoint = |index: usize| Endpoint::new("127.0.0.1", cluster.sentinel(index).port());
    let name = "sentinels.every-address.test";
    fuzzing::resolve_as(name, vec![endpoint(0), endpoint(1)]);
    let hosts = [format!("{name}:26379")];
    let options = [OPTIONS[0], ("REDIS_CLIENT_NAME", "by-name")];
    let locker = connect(sentinels_env(&hosts), &options)
        .await
        .expect("connect");
    let links = |index: usize| connections_named(cluster.sentinel(index), "by-name");
    eventually("all to be asked, the listed one too", async || {
        (0..3).all(|index| links(index) == 1)
    })
    .await;

    // The name leads elsewhere: what it led to is forgotten, unless the others list it.
    fuzzing::resolve_as(name, vec![endpoint(1), endpoint(2)]);
    cluster.sentinel(0).kill();
    blocking(|| cluster.sentinel(0).move_to_another_port()).expect("a move");
    eventually("the moved one to be asked", async || {
        (0..3).all(|index| links(index) == 1)
    })
    .await;
    lease(&locker, "report")
        .await
        .release()
        .await
        .expect("a release");
}

/// Two Sentinels go, and another group, which watches another master by the same name, is given
/// their addresses: its majority is not believed.
#[tokio::test(flavor = "multi_thread")]
async fn another_group_on_the_addresses_of_found_sentinels_is_not_believed() {
    let cluster = SentinelCluster::builder()
        .down_after(PATIENCE)
        .start()
        .expect("a cluster");
    let configured = [cluster.sentinel(0).address()];
    let options = [OPTIONS[0], ("REDIS_CLIENT_NAME", "found")];
    let locker = connect(sentinels_env(&configured), &options)
        .await
        .expect("connect");
    let held = lease(&locker, "held").await;
    eventually("the others to be found", async || {
        (1..3).all(|index| connections_named(cluster.sentinel(index), "found") == 1)
    })
    .await;

    let theirs = RedisServer::start().expect("their master");
    let ports = [1, 2].map(|index| cluster.sentinel(index).port());
    for index in [1, 2] {
        cluster.sentinel(index).kill();
    }
    let group = ports.map(|port| {
        let sentinel = SentinelServer::builder("127.0.0.1", theirs.port())
            .port(port)
            .down_after(PATIENCE)
            .start();
        sentinel.expect("their Sentinel")
    });
    assert_eq!(group.len(), 2);
    soon("their Sentinels to be asked", async {
        while !group
            .iter()
            .all(|sentinel| connections_named(sentinel, "found") > 0)
        {
            assert!(locker.try_acquire("held").await.is_err(), "two holders");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert!(held.is_valid());

    // They are asked now and go on naming their master. One that starts here is told why it is not
    // believed, and the lease that is held stays the only one.
    let message = soon("the message", async {
        loop {
            let message = refusal(sentinels_env(&configured), &OPTIONS).await;
            if message.contains("confirms that it belongs") {
                break message;
            }
        }
    })
    .await;
    assert!(
        message.contains(&format!("it names 127.0.0.1:{}", theirs.port()))
            && message.contains("give each group of Sentinels a master name of its own"),
        "{message}"
    );
    assert!(locker.try_acquire("held").await.is_err(), "two holders");
    assert_eq!(blocking(|| theirs.cli(&["DBSIZE"])).expect("DBSIZE"), "0");
}

/// S3. Sentinels that announce addresses which cannot be reached from here, behind one that can.
#[tokio::test(flavor = "multi_thread")]
async fn announced_addresses_that_cannot_be_reached_are_told_as_such() {
    let cluster = SentinelCluster::builder()
        .down_after(PATIENCE)
        .start()
        .expect("a cluster");
    let others = [1, 2].map(|index| cluster.sentinel(index).port());
    let nowhere = others.map(|port| format!("127.0.0.1:{port}=127.0.0.1:1"));
    let options = [OPTIONS[0], ("REDIS_ADDRESS_MAP", &nowhere.join(","))];
    let message = refusal(sentinels_env(&[cluster.sentinel(0).address()]), &options).await;
    assert!(
        message.starts_with("only 1 Sentinel names a master"),
        "{message}"
    );
    assert!(
        message.ends_with(
            "if they run and cannot be reached at the addresses that they announce, set \
             REDIS_ADDRESS_MAP or list all of them in REDIS_SENTINEL_HOSTS"
        ),
        "{message}"
    );
}

/// Sentinels that lost their configuration begin at epoch 0 with the first master, which takes
/// writes still: who has seen a later one does not go back.
#[tokio::test(flavor = "multi_thread")]
async fn sentinels_that_start_again_at_epoch_zero_do_not_lead_back() {
    let first = RedisServer::start().expect("redis-server");
    let second = RedisServer::start().expect("redis-server");
    let sentinels = crate::sentinels_of(&first, 3);
    let addresses = crate::addresses(&sentinels);
    let locker = connect(sentinels_env(&addresses), &[OPTIONS[0]])
        .await
        .expect("connect");
    crate::all_name(&sentinels, &second, 4);
    sentinels[0].announce_switch("127.0.0.1", second.port());
    let held = leasehold_tests::lease_on(&second, &locker, "report").await;
    crate::all_name(&sentinels, &first, 0);
    sentinels[0].announce_switch("127.0.0.1", first.port());

    // The second master goes, so that there is a reason to look for another.
    second.kill();
    let refused = soon("the refusal", async {
        loop {
            match locker.try_acquire("other").await {
                Ok(_) => panic!("granted by a master that may have been deposed"),
                Err(error) if went_back(&error) => break error,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    })
    .await;
    let message = refused.to_string();
    assert!(
        message.starts_with(&format!(
            "the Sentinels name 127.0.0.1:{} at epoch 0 and named another master at epoch 4 before",
            first.port()
        )) && message.contains("restart this program"),
        "{message}"
    );
    let key = blocking(|| first.cli(&["EXISTS", "other"])).expect("EXISTS");
    assert_eq!(key, "0");
    drop(held);

    // They have caught up, and it goes on.
    crate::all_name(&sentinels, &first, 5);
    lease(&locker, "other")
        .await
        .release()
        .await
        .expect("a release");
}

fn went_back(error: &Error) -> bool {
    let cause = error.unavailable().map(Unavailable::cause);
    matches!(cause, Some(Cause::EpochWentBack { before: 4, .. }))
}
