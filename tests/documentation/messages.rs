//! The messages in `docs/troubleshooting.md` are what the SDK says in these situations. Addresses,
//! numbers and times may differ; every word must be the same.

use std::time::Duration;

use leasehold::{Cause, Error, Locker, Unavailable};
use leasehold_testkit::{
    FakeSentinel, FakeServer, RedisCluster, RedisServer, SentinelCluster, SentinelServer,
};
use leasehold_tests::{
    blocking, connect, fail_over, lease, patient, port_env, refusal, sentinel_env, sentinels_env,
    soon, standalone_env,
};

const PAGE: &str = include_str!("../../docs/troubleshooting.md");

/// Every run of digits becomes one sign, and so does a fraction.
fn without_numbers(text: &str) -> String {
    let mut plain = String::new();
    for character in text.chars() {
        if !character.is_ascii_digit() {
            plain.push(character);
        } else if !plain.ends_with('#') {
            plain.push('#');
        }
    }
    plain
        .replace("#.#", "#")
        .replace("#ms", "#s")
        .replace("#µs", "#s")
}

fn documented(message: &str) {
    let wanted = without_numbers(message);
    assert!(
        PAGE.lines().any(|line| without_numbers(line) == wanted),
        "docs/troubleshooting.md does not have the line {message:?}"
    );
}

async fn locker(redis: &RedisServer) -> Locker {
    connect(standalone_env(redis), &[]).await.expect("a locker")
}

/// Tries until this is what stands in the way.
async fn until(locker: &Locker, is_wanted: impl Fn(&Error) -> bool) -> String {
    soon("the message", async {
        loop {
            match locker.try_acquire("report").await {
                Err(error) if is_wanted(&error) => break format!("{error:?}"),
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    })
    .await
}

async fn until_cause(locker: &Locker, wanted: &Cause) -> String {
    until(locker, |error| {
        error.unavailable().map(Unavailable::cause) == Some(wanted)
    })
    .await
}

fn say(redis: &RedisServer, words: &[&str]) {
    blocking(|| redis.command(words)).unwrap_or_else(|error| panic!("{words:?}: {error}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_to_redis() {
    let redis = RedisServer::builder().password("right").start();
    let redis = redis.expect("a server");
    documented(&refusal(standalone_env(&redis), &[]).await);
    let wrong = [("REDIS_PASSWORD", "wrong-secret")];
    documented(&refusal(standalone_env(&redis), &wrong).await);
    redis.kill();
    documented(&refusal(standalone_env(&redis), &[]).await);

    let mute = FakeServer::mute().expect("a listener");
    let limit = [("REDIS_CONNECT_TIMEOUT", "300ms")];
    documented(&refusal(port_env(mute.port()), &limit).await);
    let tls = [
        ("REDIS_TLS_ENABLED", "true"),
        ("REDIS_TLS_INSECURE", "true"),
        ("REDIS_CONNECT_TIMEOUT", "1s"),
    ];
    documented(&refusal(port_env(mute.port()), &tls).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_user_may_not_do() {
    let rules = "user default on nopass ~* &* +@all\nuser app on >secret ~* &* +@all -set\n";
    let redis = RedisServer::builder().access_control_list(rules).start();
    let redis = redis.expect("a server");
    let login = [("REDIS_USERNAME", "app"), ("REDIS_PASSWORD", "secret")];
    let locker = connect(standalone_env(&redis), &login).await;
    let refused = locker.expect("a locker").try_acquire("report").await;
    let message = format!("{:?}", refused.expect_err("no permission"));
    // In brackets are the server's own words, which differ from version to version.
    let (before, rest) = message.split_once('(').expect("the server's words");
    let (_, after) = rest.split_once(')').expect("their end");
    let is_same = |line: &str| {
        let line = without_numbers(line);
        line.starts_with(&without_numbers(before)) && line.ends_with(after)
    };
    assert!(PAGE.lines().any(is_same), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_disabled() {
    let redis = RedisServer::builder()
        .config("rename-command SELECT", "\"\"")
        .start();
    let redis = redis.expect("a server");
    documented(&refusal(standalone_env(&redis), &[("REDIS_DB", "1")]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_node() {
    let master = RedisServer::start().expect("a server");
    let replica = RedisServer::start().expect("a server");
    say(
        &replica,
        &["REPLICAOF", "127.0.0.1", &master.port().to_string()],
    );
    documented(&refusal(standalone_env(&replica), &[]).await);

    let sentinel = SentinelServer::builder("127.0.0.1", master.port()).start();
    let sentinel = sentinel.expect("a Sentinel");
    documented(&refusal(port_env(sentinel.port()), &[]).await);
    documented(&refusal(sentinels_env(&[master.address()]), &[]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_will_not_write() {
    let redis = RedisServer::builder().persistence(true).start();
    let redis = redis.expect("a server");
    let locker = locker(&redis).await;

    say(&redis, &["LPUSH", "report", "a list"]);
    documented(&until_cause(&locker, &Cause::WrongType).await);
    say(&redis, &["DEL", "report"]);

    say(&redis, &["CONFIG", "SET", "maxmemory", "1"]);
    documented(&until_cause(&locker, &Cause::OutOfMemory).await);
    say(&redis, &["CONFIG", "SET", "maxmemory", "0"]);

    std::fs::create_dir_all(redis.directory().join("dump.rdb/in-the-way")).expect("a directory");
    say(&redis, &["SET", "something", "to save"]);
    say(&redis, &["BGSAVE"]);
    documented(&until_cause(&locker, &Cause::DiskError).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_was_demoted() {
    let redis = RedisServer::start().expect("a server");
    let locker = locker(&redis).await;
    let message = soon("READONLY", async {
        loop {
            // The link ends with the first refusal, and the next one finds a replica.
            say(&redis, &["REPLICAOF", "127.0.0.1", "1"]);
            let error = locker.try_acquire("report").await.map(drop).err();
            say(&redis, &["REPLICAOF", "NO", "ONE"]);
            if let Some(error) = error
                && error.unavailable().map(Unavailable::cause) == Some(&Cause::ReadOnly)
            {
                break format!("{error:?}");
            }
            drop(lease(&locker, "report").await);
        }
    })
    .await;
    documented(&message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_one_of_its_masters() {
    let cluster = RedisCluster::builder()
        .replicas_each(0)
        .start()
        .expect("a cluster");
    let mut variables = cluster.env();
    variables.push(("IS_LOCKING_DISABLED".into(), "false".into()));
    let locker = connect(variables, &[("LOCK_TTL", "3s")])
        .await
        .expect("a locker");
    let owner = blocking(|| cluster.owner_of("report")).expect("the slot's master");
    let other = (owner + 1) % 3;
    cluster.node(other).kill();
    documented(&until_cause(&locker, &Cause::ClusterDown).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels() {
    let cluster = SentinelCluster::builder()
        .sentinel_password("right")
        .password("data")
        .start();
    let cluster = cluster.expect("a cluster");
    let none = [("REDIS_SENTINEL_PASSWORD", ""), ("REDIS_PASSWORD", "")];
    documented(&refusal(sentinel_env(&cluster), &none).await);
    let name = [("REDIS_SENTINEL_SERVICE", "mymister")];
    documented(&refusal(sentinel_env(&cluster), &name).await);
    cluster.sentinel(0).kill();
    cluster.sentinel(1).kill();
    documented(&refusal(sentinel_env(&cluster), &[]).await);

    let redis = RedisServer::start().expect("a server");
    redis.kill();
    documented(&refusal(sentinels_env(&[redis.address()]), &[]).await);
    let sentinel = FakeSentinel::start("mymaster", "127.0.0.1", redis.port());
    let sentinel = sentinel.expect("a Sentinel");
    documented(&refusal(sentinels_env(&[sentinel.address()]), &[]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_mode() {
    let cluster = patient().start().expect("a cluster");
    let locker = connect(sentinel_env(&cluster), &[])
        .await
        .expect("a locker");
    drop(lease(&locker, "report").await);
    for index in [1, 2] {
        cluster.node(index).pause().expect("SIGSTOP");
    }
    let is_unreplicated = |error: &Error| matches!(error, Error::NotReplicated { .. });
    documented(&until(&locker, is_unreplicated).await);
    for index in [1, 2] {
        cluster.node(index).resume().expect("SIGCONT");
    }
    drop(lease(&locker, "report").await);

    let _ = fail_over(&cluster);
    let is_counting = |error: &Error| matches!(error, Error::GateClosed(gate) if gate.remaining.is_some() && gate.epoch > 0);
    documented(&until(&locker, is_counting).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_holds_it() {
    let redis = RedisServer::start().expect("a server");
    let holder = [("LOCK_OWNER", "worker-7:4711")];
    let holder = connect(standalone_env(&redis), &holder)
        .await
        .expect("a locker");
    let held = lease(&holder, "report").await;
    let other = locker(&redis).await;
    let refused = async || {
        let refused = other.try_acquire("report").await;
        format!("{:?}", refused.expect_err("held"))
    };
    documented(&refused().await);
    held.release().await.expect("a release");
    say(&redis, &["SET", "report", "an-old-script"]);
    documented(&refused().await);
}
