//! S10: Sentinels that lie, or answer what no Sentinel answers.

use std::time::Duration;

use leasehold_testkit::{Behaviour, FakeSentinel, FakeServer, RedisServer, Reply, View};
use leasehold_tests::{blocking, connect, eventually, lease, refusal, sentinels_env, soon};

use crate::{addresses, all_name, holds, sentinels_of};

const RELAXED: [(&str, &str); 1] = [("LOCK_SAFETY", "relaxed")];

type Lie<'a> = &'a dyn Fn(&mut View);

/// One of three, with every epoch, address and number that it can make up.
#[tokio::test(flavor = "multi_thread")]
async fn one_liar_is_outvoted_whatever_it_says() {
    let redis = RedisServer::start().expect("redis-server");
    let decoy = FakeServer::mute().expect("a listener");
    let honest = sentinels_of(&redis, 2);
    all_name(&honest, &redis, 5);
    let liar = FakeSentinel::start("mymaster", "127.0.0.1", decoy.port()).expect("a Sentinel");
    let hosts = [vec![liar.address()], addresses(&honest)].concat();
    let locker = connect(sentinels_env(&hosts), &RELAXED)
        .await
        .expect("connect");
    let held = lease(&locker, "held").await;
    let strangers: Vec<(String, u16)> = (1..2_000)
        .map(|port| ("10.9.9.9".to_owned(), port))
        .collect();
    let evil = "127.0.0.1\r\nFLUSHALL";
    let lies: [(&str, Lie<'_>); 8] = [
        ("a higher epoch", &|view| view.epoch = 9_000),
        ("the highest epoch", &|view| view.epoch = u64::MAX),
        ("a lower epoch", &|view| view.epoch = 0),
        ("our epoch", &|view| view.epoch = 5),
        ("thousands of peers", &|view| {
            view.peers.clone_from(&strangers);
        }),
        ("no port", &|view| view.address.1 = 0),
        ("no host", &|view| view.address.0.clear()),
        ("a line end", &|view| view.address.0 = evil.to_owned()),
    ];
    for (what, lie) in lies {
        liar.update(lie);
        let asked = honest[0].count("SENTINEL MASTER");
        liar.announce_switch("127.0.0.1", decoy.port());
        eventually("the Sentinels are asked", async || {
            honest[0].count("SENTINEL MASTER") > asked
        })
        .await;
        let fresh = soon(what, connect(sentinels_env(&hosts), &RELAXED)).await;
        let fresh = fresh.unwrap_or_else(|error| panic!("{what}: {error}"));
        let granted = lease(&fresh, "report").await;
        assert!(holds(&redis), "{what}");
        granted.release().await.expect("a release");
        assert!(held.is_valid(), "{what}");
    }
    assert_eq!(decoy.connections(), 0, "nobody believed the liar");
}

/// Every reply that a parser might trip over, from the only Sentinel there is.
#[tokio::test(flavor = "multi_thread")]
async fn malformed_replies_are_refused_and_survived() {
    let redis = RedisServer::start().expect("redis-server");
    let sentinels = sentinels_of(&redis, 1);
    let locker = connect(sentinels_env(&addresses(&sentinels)), &RELAXED)
        .await
        .expect("connect");
    let held = lease(&locker, "held").await;
    let huge = "x".repeat(1 << 20);
    for reply in [
        Reply::Integer(-1),
        Reply::Array(Vec::new()),
        Reply::Array(vec![Reply::Nil; 3]),
        Reply::Map(Vec::new()),
        Reply::Map(vec![(Reply::Nil, Reply::Integer(1))]),
        Reply::texts(["ip"]),
        Reply::texts(["config-epoch", "-1", "ip", "::", "port", "99999999999"]),
        Reply::text(huge.clone()),
        Reply::error("ERR \u{1b}[2J strange"),
        Reply::error(huge),
        Reply::Bulk(vec![0xff; 10]),
    ] {
        let shown: String = format!("{reply:?}").chars().take(60).collect();
        sentinels[0].behave(Behaviour::Always(reply));
        let message = refusal(sentinels_env(&addresses(&sentinels)), &RELAXED).await;
        assert!(message.len() < 600, "{shown}: {} bytes", message.len());
        assert!(!message.chars().any(char::is_control), "{shown}: {message}");
    }
    sentinels[0].behave(Behaviour::Answer);
    locker
        .try_acquire("other")
        .await
        .expect("the link was kept")
        .release()
        .await
        .ok();
    assert!(held.is_valid());
}

/// The named node is verified before it is used: here it is a replica, then a mute listener.
#[tokio::test(flavor = "multi_thread")]
async fn a_named_node_that_is_no_master_is_not_used() {
    let master = RedisServer::start().expect("redis-server");
    let replica = RedisServer::builder()
        .replica_of("127.0.0.1", master.port())
        .start()
        .expect("a replica");
    let sentinels = sentinels_of(&replica, 3);
    let hosts = sentinels_env(&addresses(&sentinels));
    assert_eq!(
        refusal(hosts.clone(), &RELAXED).await,
        format!(
            "master {}: the Sentinels name it but it is no master yet; the SDK looks for the \
             master again by itself",
            replica.address()
        )
    );

    // S17. A listener that never says a word; the Sentinels name the true master after a while.
    let mute = FakeServer::mute().expect("a listener");
    for sentinel in &sentinels {
        sentinel.set_master("127.0.0.1", mute.port(), 1);
    }
    let patient = [RELAXED[0], ("REDIS_CONNECT_TIMEOUT", "60s")];
    let connecting = tokio::spawn(async move { connect(hosts, &patient).await });
    eventually("it is connected to", async || mute.connections() > 0).await;
    all_name(&sentinels, &master, 2);
    for sentinel in &sentinels {
        sentinel.announce_switch("127.0.0.1", master.port());
    }
    let locker = soon("a locker", connecting)
        .await
        .expect("the task")
        .expect("a locker");
    let held = lease(&locker, "report").await;
    assert!(blocking(|| holds(&master)));
    assert!(held.remaining() > Duration::ZERO);
}
