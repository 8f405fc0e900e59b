//! S15: passwords that change under open connections.

use std::time::Duration;

use leasehold::{Cause, Unavailable};
use leasehold_testkit::{FakeSentinel, Proxy, RedisServer};
use leasehold_tests::{
    blocking, common_env, connect, lease, lease_on, port_env, sentinels_env, soon,
};

/// An open connection outlives the change. When it ends, the old password is tried seldom, and the
/// way back is found without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_changed_and_changed_back() {
    let redis = RedisServer::builder()
        .password("first")
        .start()
        .expect("redis-server");
    let proxy = Proxy::start(redis.address()).expect("a proxy");
    let password = [("REDIS_PASSWORD", "first")];
    let locker = connect(port_env(proxy.port()), &password)
        .await
        .expect("connect");
    let mut operator = redis.connection().expect("a connection");
    let mut rotate = |password: &str| {
        redis::cmd("CONFIG")
            .arg(&["SET", "requirepass", password])
            .exec(&mut operator)
            .expect("CONFIG SET");
    };
    rotate("second");
    lease(&locker, "report")
        .await
        .release()
        .await
        .expect("a release");

    let before = proxy.connections();
    proxy.cut();
    let refused = soon("the refusal", async {
        loop {
            if let Err(error) = locker.try_acquire("report").await
                && error.unavailable().map(Unavailable::cause) == Some(&Cause::WrongPassword)
            {
                break error;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(
        !refused.is_retryable(),
        "waiting does not correct a password"
    );
    for _ in 0..50 {
        let again = locker.try_acquire("report").await.expect_err("refused");
        assert_eq!(
            again.unavailable().map(Unavailable::cause),
            Some(&Cause::WrongPassword)
        );
    }
    assert_eq!(proxy.connections(), before + 1, "one attempt, whoever asks");

    blocking(|| rotate("first"));
    soon("the way back", async {
        while locker.try_acquire("report").await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(proxy.connections() <= before + 3, "seldom");
}

/// The file that `REDIS_PASSWORD_FILE` names is replaced together with the password: the next
/// connection logs in with what it holds then.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_rotated_together_with_its_file() {
    let redis = RedisServer::builder()
        .password("first")
        .start()
        .expect("redis-server");
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("password");
    std::fs::write(&file, "first\n").expect("a file");
    let proxy = Proxy::start(redis.address()).expect("a proxy");
    let in_file = [("REDIS_PASSWORD_FILE", &*file.to_string_lossy())];
    let locker = connect(port_env(proxy.port()), &in_file)
        .await
        .expect("connect");
    redis
        .command(&["CONFIG", "SET", "requirepass", "second"])
        .expect("CONFIG SET");

    // The server is ahead of the file for a while, as where secrets are mounted.
    proxy.cut();
    soon("the refusal", async {
        while !refused_for_password(locker.try_acquire("report").await.err().as_ref()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    std::fs::write(&file, "second\n").expect("a file");
    lease_when_possible(&locker).await;

    // And the file is unreadable for a moment, which changes nothing.
    std::fs::remove_file(&file).expect("it is there");
    proxy.cut();
    lease_when_possible(&locker).await;
}

/// The same where the file holds a whole URL.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_rotated_in_the_file_of_a_url() {
    let redis = RedisServer::builder()
        .password("first")
        .start()
        .expect("redis-server");
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("url");
    let proxy = Proxy::start(redis.address()).expect("a proxy");
    let write = |password: &str| {
        let url = format!("redis://:{password}@127.0.0.1:{}", proxy.port());
        std::fs::write(&file, url).expect("a file");
    };
    write("first");
    let mut variables = common_env();
    variables.push(("REDIS_URL_FILE".into(), file.to_string_lossy().into_owned()));
    let locker = connect(variables, &[]).await.expect("connect");
    redis
        .command(&["CONFIG", "SET", "requirepass", "second"])
        .expect("CONFIG SET");
    write("second");
    proxy.cut();
    lease_when_possible(&locker).await;
}

/// The same for Sentinels: they are asked again after the rotation, and their failover is followed.
#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_password_that_is_rotated_together_with_its_file() {
    let (first, second) = (
        RedisServer::start().expect("redis-server"),
        RedisServer::start().expect("redis-server"),
    );
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("password");
    std::fs::write(&file, "first").expect("a file");
    let sentinel = FakeSentinel::start("mymaster", "127.0.0.1", first.port()).expect("a Sentinel");
    sentinel.update(|view| view.password = Some("first".to_owned()));
    let options = [
        ("LOCK_SAFETY", "relaxed"),
        ("REDIS_SENTINEL_PASSWORD_FILE", &*file.to_string_lossy()),
    ];
    let locker = connect(sentinels_env(&[sentinel.address()]), &options)
        .await
        .expect("connect");
    sentinel.update(|view| view.password = Some("second".to_owned()));
    std::fs::write(&file, "second").expect("a file");
    sentinel.cut();
    sentinel.set_master("127.0.0.1", second.port(), 1);
    let held = lease_on(&second, &locker, "report").await;
    held.release().await.expect("a release");
}

fn refused_for_password(error: Option<&leasehold::Error>) -> bool {
    let error = error.and_then(leasehold::Error::unavailable);
    error.map(Unavailable::cause) == Some(&Cause::WrongPassword)
}

async fn lease_when_possible(locker: &leasehold::Locker) {
    let held = soon("the way back", async {
        loop {
            if let Ok(held) = locker.try_acquire("report").await {
                break held;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    held.await.release().await.expect("a release");
}
