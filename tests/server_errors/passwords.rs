//! S15: passwords that change under open connections.

use std::time::Duration;

use leasehold::{Cause, Unavailable};
use leasehold_testkit::{Proxy, RedisServer};
use leasehold_tests::{blocking, connect, lease, port_env, soon};

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
    assert_eq!(
        refused.to_string(),
        format!(
            "{}: it refused the user name or password (WRONGPASS); correct REDIS_USERNAME and \
             REDIS_PASSWORD",
            proxy.address()
        )
    );
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
