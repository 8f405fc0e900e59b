//! S7 to S9: one Sentinel of three that is of no use, whatever is wrong with it, and then two.

use std::time::{Duration, Instant};

use leasehold::{Error, Locker};
use leasehold_testkit::{
    Behaviour, FakeSentinel, FakeServer, RedisServer, SentinelCluster, Unreachable,
};
use leasehold_tests::{blocking, connect, eventually, lease, sentinel_env, sentinels_env, soon};

use crate::{addresses, all_name, holds, sentinels_of};

/// S7, for each thing that may be wrong with the first in the list.
#[tokio::test(flavor = "multi_thread")]
async fn a_useless_first_sentinel_costs_nothing() {
    let redis = RedisServer::start().expect("redis-server");
    let plain = RedisServer::start().expect("another redis-server");
    let sentinels = sentinels_of(&redis, 2);
    let special = |change: fn(&FakeSentinel)| {
        let special = FakeSentinel::start("mymaster", "127.0.0.1", redis.port());
        let special = special.expect("a Sentinel");
        change(&special);
        special
    };
    let hung = FakeServer::mute().expect("a listener");
    let closing = FakeServer::closing().expect("a listener");
    let garbage = FakeServer::garbage("HTTP/1.1 200 OK\r\n\r\n").expect("a listener");
    let refusing = FakeServer::mute().expect("a listener");
    refusing.stop();
    let unreachable = Unreachable::start().expect("an unreachable address");
    let silent = special(|sentinel| sentinel.behave(Behaviour::Silent));
    let ignorant = special(|sentinel| sentinel.behave(Behaviour::Unknown));
    let locked = special(|sentinel| sentinel.update(|view| view.password = Some("other".into())));
    let old = special(|sentinel| sentinel.update(|view| view.speaks_resp3 = false));
    let useless = [
        ("hung", hung.address()),
        ("closing", closing.address()),
        ("talking nonsense", garbage.address()),
        ("refusing", refusing.address()),
        ("unreachable", unreachable.address()),
        ("silent", silent.address()),
        ("ignorant", ignorant.address()),
        ("behind a password", locked.address()),
        ("a plain Redis", plain.address()),
        ("too old", old.address()),
        ("unresolvable", "no-such-host.invalid:26379".to_owned()),
    ];
    for (what, first) in useless {
        let mut hosts = vec![first];
        hosts.extend(addresses(&sentinels));
        let began = Instant::now();
        let locker = soon(what, connect(sentinels_env(&hosts), &RELAXED)).await;
        let locker = locker.unwrap_or_else(|error| panic!("{what}: {error}"));
        let held = lease(&locker, "report").await;
        assert!(holds(&redis), "{what}");
        held.release().await.expect("a release");
        // Nothing waits for the useless one: its own limits are half a second each.
        assert!(began.elapsed() < Duration::from_secs(5), "{what}");
    }
}

const RELAXED: [(&str, &str); 1] = [("LOCK_SAFETY", "relaxed")];

/// S8. With two of three gone the master is still used, until a rival may have been elected; then
/// nothing new is granted, but what is held goes on.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_grants_end_and_renewals_go_on() {
    let redis = RedisServer::start().expect("redis-server");
    let sentinels = sentinels_of(&redis, 3);
    let locker = connect(sentinels_env(&addresses(&sentinels)), &RELAXED)
        .await
        .expect("connect");
    let held = lease(&locker, "held").await;
    sentinels[0].stop();
    sentinels[1].stop();
    locker
        .try_acquire("other")
        .await
        .expect("still confirmed")
        .release()
        .await
        .ok();

    let refused = soon("the refusal", async {
        loop {
            match locker.try_acquire("other").await {
                Ok(granted) => drop(granted.release().await),
                Err(refused) => break refused,
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let message = format!("{refused:?}");
    let before = format!(
        "127.0.0.1:{}: no majority of the Sentinels confirmed the master for ",
        redis.port()
    );
    let after = "s, so another may exist; bring a majority of the Sentinels back; held leases are \
                 still renewed";
    assert!(
        message.starts_with(&before) && message.ends_with(after),
        "{message}"
    );
    assert!(refused.is_retryable());
    held.renew().await.expect("a renewal");
    assert!(held.is_valid());

    sentinels[0].resume().expect("to listen again");
    let granted = lease(&locker, "other").await;
    granted.release().await.expect("a release");
    held.release().await.expect("a release");
}

/// S9. It names the old master, which is alive and would grant.
#[tokio::test(flavor = "multi_thread")]
async fn an_outdated_first_sentinel_is_outvoted() {
    let (deposed, master) = (
        RedisServer::start().expect("redis-server"),
        RedisServer::start().expect("redis-server"),
    );
    let sentinels = sentinels_of(&master, 3);
    all_name(&sentinels, &master, 5);
    sentinels[0].set_master("127.0.0.1", deposed.port(), 4);
    let locker = connect(sentinels_env(&addresses(&sentinels)), &RELAXED)
        .await
        .expect("connect");
    let held = lease(&locker, "report").await;
    assert!(holds(&master) && !holds(&deposed));
    drop(held);
}

/// S9 on real ones: a Sentinel that was down during the failover comes back first in the list.
#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_that_missed_the_failover_does_no_harm() {
    let cluster = SentinelCluster::start().expect("a cluster");
    cluster.sentinel(0).kill();
    let old = blocking(|| cluster.kill_master()).expect("SIGKILL");
    let new = blocking(|| cluster.wait_for_new_master(old)).expect("a new master");
    blocking(|| {
        cluster.node(old).restart().expect("a restart");
        cluster.sentinel(0).restart().expect("a restart");
    });
    let attempts: Result<Locker, Error> = soon("a locker", async {
        loop {
            match connect(sentinel_env(&cluster), &RELAXED).await {
                Err(error) if error.is_retryable() => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                other => break other,
            }
        }
    })
    .await;
    let locker = attempts.expect("a locker");
    let held = lease(&locker, "report").await;
    assert!(holds(cluster.node(new)));
    held.release().await.expect("a release");
    eventually("the outdated one has caught up", async || {
        let named = blocking(|| cluster.sentinel(0).master_address());
        named.is_ok_and(|named| named.is_some_and(|(_, port)| port == cluster.node(new).port()))
    })
    .await;
    let held = lease(&locker, "report").await;
    assert!(held.is_valid());
}
