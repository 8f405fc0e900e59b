//! S16, S17: connections and servers that say nothing any more.

use std::time::Duration;

use leasehold::{Cause, Error, Released};
use leasehold_testkit::{Afterwards, FakeServer, Mode, Proxy, RedisServer};
use leasehold_tests::{connect, lease, port_env, soon};

/// S16. Whatever was sent into a black hole fails in time and is typed; the socket is given up for
/// a new one, also when nobody asks for anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_into_a_black_hole_is_given_up() {
    let redis = RedisServer::start().expect("redis-server");
    for safety in ["relaxed", "strict"] {
        let proxy = Proxy::start(redis.address()).expect("a proxy");
        let overrides = [
            ("LOCK_SAFETY", safety),
            ("LOCK_TTL", "2s"),
            ("LOCK_MAX_TTL", "2s"),
        ];
        let locker = connect(port_env(proxy.port()), &overrides)
            .await
            .expect("connect");
        lease(&locker, "report")
            .await
            .release()
            .await
            .expect("a release");

        // These connections stay dead; new ones work.
        proxy.set_mode(Mode::HalfOpen).expect("half-open");
        proxy.set_mode(Mode::Pass).expect("passing");
        let began = tokio::time::Instant::now();
        let failed = soon("the failure", locker.try_acquire("report")).await;
        let failed = failed.expect_err("nobody answers");
        let Error::Ambiguous { cause, .. } = &failed else {
            panic!("{failed}")
        };
        let limit = Duration::from_millis(500);
        assert_eq!(cause.cause(), &Cause::Timeout { after: limit }, "{failed}");
        assert!(failed.is_retryable());
        assert!(began.elapsed() >= limit - Duration::from_millis(50));
        lease(&locker, "report")
            .await
            .release()
            .await
            .expect("a release");

        // Idle: nobody asks, and it is found all the same.
        let before = proxy.connections();
        proxy.set_mode(Mode::HalfOpen).expect("half-open");
        proxy.set_mode(Mode::Pass).expect("passing");
        soon("a new connection", async {
            while proxy.connections() == before {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        lease(&locker, "report")
            .await
            .release()
            .await
            .expect("a release");
    }
}

/// The reply to each command of a lease's life is lost once: nothing is granted twice, nothing is
/// lost, nothing is left behind.
#[tokio::test(flavor = "multi_thread")]
async fn lost_replies_are_made_up_for() {
    let redis = RedisServer::start().expect("redis-server");
    let proxy = Proxy::start(redis.address()).expect("a proxy");
    let overrides = [("LOCK_TTL", "9s"), ("LOCK_MAX_TTL", "9s")];
    let locker = connect(port_env(proxy.port()), &overrides)
        .await
        .expect("connect");
    lease(&locker, "report")
        .await
        .release()
        .await
        .expect("a release");
    for afterwards in [Afterwards::Cut, Afterwards::Silence] {
        let mut lost = proxy.replies_dropped();
        // By plain commands, or by script where the connection is new.
        proxy.drop_reply_of("report", afterwards);
        let held = lease(&locker, "report").await;
        assert!(proxy.replies_dropped() > lost, "the grant's reply");
        lost = proxy.replies_dropped();

        proxy.drop_reply_of("EVALSHA", afterwards);
        soon("a confirmed renewal", async {
            while held.renew().await.is_err() {
                assert!(held.is_valid());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        assert!(proxy.replies_dropped() > lost, "the renewal's reply");
        lost = proxy.replies_dropped();

        proxy.drop_reply_of("EVALSHA", afterwards);
        let released = held.release().await;
        assert!(proxy.replies_dropped() > lost, "the release's reply");
        // The second attempt finds nothing, for the first has worked.
        match released {
            Ok(released) => assert_eq!(released, Released::Released, "{afterwards:?}"),
            // Finding a silent connection out may take longer than a release waits.
            Err(error) => assert!(
                afterwards == Afterwards::Silence && matches!(error, Error::Ambiguous { .. }),
                "{afterwards:?}: {error}"
            ),
        }
        let again = soon("a free lock", async {
            loop {
                if let Ok(again) = locker.try_acquire("report").await {
                    break again;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        again.release().await.expect("a release");
    }
}

/// S17. A listener that never says a word: connecting ends on time, and a caller's deadline holds.
#[tokio::test(flavor = "multi_thread")]
async fn deadlines_hold_against_a_mute_server() {
    let redis = RedisServer::start().expect("redis-server");
    let mute = FakeServer::mute().expect("a listener");
    let proxy = Proxy::start(redis.address()).expect("a proxy");
    let overrides = [
        ("LOCK_ACQUIRE_TIMEOUT", "1s"),
        ("REDIS_CONNECT_TIMEOUT", "60s"),
    ];
    let locker = connect(port_env(proxy.port()), &overrides)
        .await
        .expect("connect");
    proxy.retarget(mute.address());
    proxy.cut();
    let began = tokio::time::Instant::now();
    let late = soon("the end", locker.acquire("report"))
        .await
        .expect_err("mute");
    assert!(matches!(late, Error::TimedOut { .. }), "{late}");
    assert!(began.elapsed() < Duration::from_secs(10));
}
