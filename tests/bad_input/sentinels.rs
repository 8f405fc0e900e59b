//! What `REDIS_SENTINEL_HOSTS` and `REDIS_SENTINEL_SERVICE` may wrongly say, and Sentinels of which
//! too many are dead, mute or wrong.

use std::time::{Duration, Instant};

use leasehold_testkit::{Behaviour, FakeSentinel, FakeServer, RedisServer, SentinelCluster};
use leasehold_tests::{connect, refusal, sentinel_env, sentinels_env};

/// One Sentinel after the other, each with what is wrong with it.
fn each(problems: &[(String, &str)]) -> String {
    let each: Vec<String> = problems
        .iter()
        .map(|(address, problem)| format!("{address}: {problem}"))
        .collect();
    each.join("; ")
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_names_and_passwords() {
    let cluster = SentinelCluster::builder()
        .sentinel_password("right")
        .password("data")
        .start()
        .expect("a cluster");
    let first = cluster.sentinel(0).address();

    let wrong = [("REDIS_SENTINEL_PASSWORD", "wrong-secret")];
    assert_eq!(
        refusal(sentinel_env(&cluster), &wrong).await,
        format!(
            "Sentinel {first}: it refused the user name or password (WRONGPASS); correct \
             REDIS_SENTINEL_USERNAME and REDIS_SENTINEL_PASSWORD (default: REDIS_PASSWORD)"
        )
    );

    let none = [("REDIS_SENTINEL_PASSWORD", ""), ("REDIS_PASSWORD", "")];
    assert_eq!(
        refusal(sentinel_env(&cluster), &none).await,
        format!(
            "Sentinel {first}: it wants a password and none is configured (NOAUTH); set \
             REDIS_SENTINEL_PASSWORD, and REDIS_SENTINEL_USERNAME unless the user is `default`"
        )
    );

    let name = [("REDIS_SENTINEL_SERVICE", "mymister")];
    assert_eq!(
        refusal(sentinel_env(&cluster), &name).await,
        "the Sentinels know no master named `mymister`; correct REDIS_SENTINEL_SERVICE; \
         SENTINEL MASTERS lists the known names"
    );

    let node = [("REDIS_PASSWORD", "wrong-secret")];
    assert_eq!(
        refusal(sentinel_env(&cluster), &node).await,
        format!(
            "master 127.0.0.1:{}: it refused the user name or password (WRONGPASS); correct \
             REDIS_USERNAME and REDIS_PASSWORD",
            cluster.node(0).port()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_sentinels() {
    let cluster = SentinelCluster::start().expect("a cluster");
    let address = |index: usize| cluster.sentinel(index).address();
    let refused = "the connection was refused";

    // One that hangs is outvoted and costs no time.
    cluster.sentinel(0).pause().expect("SIGSTOP");
    let began = Instant::now();
    let locker = connect(sentinel_env(&cluster), &[]).await;
    locker.expect("the other two Sentinels are enough");
    assert!(began.elapsed() < Duration::from_secs(5));

    cluster.sentinel(1).kill();
    assert_eq!(
        refusal(sentinel_env(&cluster), &[]).await,
        format!(
            "only 1 Sentinel names a master and 2 are needed ({}); bring the others back; if they \
             are gone for good, SENTINEL RESET makes the rest forget them",
            each(&[
                (address(0), "no connection within 500ms"),
                (address(1), refused)
            ])
        )
    );

    cluster.sentinel(0).kill();
    cluster.sentinel(2).kill();
    assert_eq!(
        refusal(sentinel_env(&cluster), &[]).await,
        format!(
            "no Sentinel can be reached ({}); start the Sentinels or correct REDIS_SENTINEL_HOSTS",
            each(&[
                (address(0), refused),
                (address(1), refused),
                (address(2), refused)
            ])
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sentinel_that_says_nothing() {
    let mute = FakeServer::mute().expect("a listener");
    assert_eq!(
        refusal(sentinels_env(&[mute.address()]), &[]).await,
        format!(
            "no Sentinel can be reached ({}: no connection within 500ms); start the Sentinels or \
             correct REDIS_SENTINEL_HOSTS",
            mute.address()
        )
    );

    let redis = RedisServer::start().expect("redis-server");
    let silent = FakeSentinel::start("mymaster", "127.0.0.1", redis.port()).expect("a Sentinel");
    silent.behave(Behaviour::Silent);
    assert_eq!(
        refusal(sentinels_env(&[silent.address()]), &[]).await,
        format!(
            "no Sentinel can be reached ({}: no reply within 500ms); start the Sentinels or \
             correct REDIS_SENTINEL_HOSTS",
            silent.address()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sentinels_of_which_one_lies() {
    let redis = RedisServer::start().expect("redis-server");
    let honest = FakeSentinel::start("mymaster", "127.0.0.1", redis.port()).expect("a Sentinel");
    let liar = FakeSentinel::start("mymaster", "10.6.6.6", 6379).expect("a Sentinel");
    liar.update(|view| view.epoch = 9_000);
    let (first, second) = (honest.address(), liar.address());
    assert_eq!(
        refusal(sentinels_env(&[&first, &second]), &[]).await,
        format!(
            "the Sentinels disagree ({first} names 127.0.0.1:{} at epoch 0, {second} names \
             10.6.6.6:6379 at epoch 9000); wait for the failover to end; if it lasts, compare \
             SENTINEL MASTER on each of them",
            redis.port()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_node_as_sentinel() {
    let redis = RedisServer::start().expect("redis-server");
    assert_eq!(
        refusal(sentinels_env(&[redis.address()]), &[]).await,
        format!(
            "Sentinel {}: it is no Sentinel; put Sentinel addresses (port 26379 as a rule) into \
             REDIS_SENTINEL_HOSTS",
            redis.address()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_is_dead() {
    let redis = RedisServer::start().expect("redis-server");
    redis.kill();
    let sentinel = FakeSentinel::start("mymaster", "127.0.0.1", redis.port()).expect("a Sentinel");
    assert_eq!(
        refusal(sentinels_env(&[sentinel.address()]), &[]).await,
        format!(
            "master {}: the connection was refused; wait for the Sentinels to name another, or \
             start it; if they name an address that cannot be reached from here, set \
             REDIS_ADDRESS_MAP",
            redis.address()
        )
    );
}
