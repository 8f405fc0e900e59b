//! Limits of time: of a wait that Redis leaves unanswered, of none at all, and of one without end.

use std::time::Duration;

use leasehold::config::{Config, Endpoint, StandaloneTopology};
use leasehold::{AcquireOptions, Cause, Error, Locker, Renewal};
use leasehold_testkit::RedisServer;
use leasehold_tests::{connect, eventually, soon, standalone_env};

fn within(timeout: Duration) -> AcquireOptions {
    AcquireOptions::new().timeout(timeout)
}

async fn refused(locker: &Locker, timeout: Duration) -> Error {
    let refused = locker.acquire("report").options(&within(timeout)).await;
    refused.expect_err("no lease")
}

/// What ended the wait, which is not to be anything that no reply told.
fn reason(error: &Error) -> &Error {
    let Error::TimedOut { because, .. } = error else {
        panic!("{error}")
    };
    assert!(!format!("{error:?}").contains("DEL"), "{error:?}");
    because
}

fn is_unanswered(error: &Error) -> bool {
    let unavailable = reason(error).unavailable();
    unavailable.is_some_and(|unavailable| matches!(unavailable.cause(), Cause::Timeout { .. }))
}

/// Writes wait, as after `CLIENT PAUSE` by an operator or during a failover. The lock is free.
#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_redis_leaves_unanswered_names_no_holder() {
    let redis = RedisServer::start().expect("redis-server");
    let slow = [("REDIS_COMMAND_TIMEOUT", "900ms")];
    let locker = connect(standalone_env(&redis), &slow)
        .await
        .expect("connect");
    redis
        .command(&["CLIENT", "PAUSE", "20000", "WRITE"])
        .expect("CLIENT PAUSE");
    let first = Duration::from_millis(500);
    let behind = Duration::from_millis(300);
    let (first, behind) = tokio::join!(refused(&locker, first), async {
        tokio::task::yield_now().await;
        refused(&locker, behind).await
    });
    for error in [first, behind] {
        assert!(is_unanswered(&error), "{error}");
        assert!(format!("{error:?}").contains(&redis.address()), "{error}");
    }
    redis
        .command(&["CLIENT", "UNPAUSE"])
        .expect("CLIENT UNPAUSE");
}

/// The holder that an earlier waiter met is gone when the later one gets no reply.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_tells_nothing_of_what_stood_before_another() {
    let redis = RedisServer::start().expect("redis-server");
    let slow = [
        ("REDIS_COMMAND_TIMEOUT", "9s"),
        ("LOCK_TTL", "30s"),
        ("LOCK_MAX_TTL", "30s"),
    ];
    let locker = connect(standalone_env(&redis), &slow)
        .await
        .expect("connect");
    redis.command(&["SET", "report", "plain"]).expect("SET");
    let second = Duration::from_secs(3);
    let (first, second) = tokio::join!(refused(&locker, Duration::from_secs(2)), async {
        tokio::task::yield_now().await;
        let waiting = refused(&locker, second);
        let silence = async {
            eventually("the first meets the holder", async || {
                matches!(locker.obstacle("report"), Ok(Some(Error::Held(_))))
            })
            .await;
            redis
                .command(&["CLIENT", "PAUSE", "20000", "ALL"])
                .expect("CLIENT PAUSE");
        };
        tokio::join!(waiting, silence).0
    });
    let Error::TimedOut { because, .. } = &first else {
        panic!("{first}")
    };
    assert!(matches!(**because, Error::Held(_)), "{first}");
    assert!(is_unanswered(&second), "{second}");
}

/// Many of one process wait for a lock that is held, and their time ends at the same moment: each one
/// is told of the holder, none of a silence of Redis, which answers, or of a lock that never expires.
#[tokio::test(flavor = "multi_thread")]
async fn waiters_of_one_process_whose_time_ends_together_are_told_of_the_holder() {
    let redis = RedisServer::start().expect("redis-server");
    let holder = [("LOCK_OWNER", "holder")];
    let holder = connect(standalone_env(&redis), &holder)
        .await
        .expect("connect");
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    let lease = holder.acquire("report").await.expect("a lease");
    for _ in 0..3 {
        let waiters = (0..40).map(|_| refused(&locker, Duration::from_millis(500)));
        for error in futures_util::future::join_all(waiters).await {
            assert_held_by("holder", &error);
        }
    }
    lease.release().await.expect("a release");

    // The lease of another task of this process, which was granted while they waited.
    let name = [("LOCK_OWNER", "sibling")];
    let locker = connect(standalone_env(&redis), &name)
        .await
        .expect("connect");
    for _ in 0..5 {
        let acquire = || locker.acquire("report").timeout(Duration::from_millis(500));
        let waiters = (0..8).map(|_| acquire().into_future());
        let (mut granted, mut refused) = (Vec::new(), Vec::new());
        for result in futures_util::future::join_all(waiters).await {
            match result {
                Ok(lease) => granted.push(lease),
                Err(error) => refused.push(error),
            }
        }
        assert_eq!(granted.len(), 1);
        for error in refused {
            assert_held_by("sibling", &error);
        }
        for lease in granted {
            lease.release().await.expect("a release");
        }
    }
}

fn assert_held_by(owner: &str, error: &Error) {
    let Error::Held(held) = reason(error) else {
        panic!("{error:?}")
    };
    assert_eq!(held.owner.as_deref(), Some(owner), "{error:?}");
    assert!(held.remaining.is_some(), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_time_redis_is_asked_once() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    let at_once = within(Duration::ZERO);
    for round in 0..100 {
        let lease = locker.acquire("report").options(&at_once).await;
        let lease = lease.unwrap_or_else(|error| panic!("round {round}: {error}"));
        let held = refused(&locker, Duration::ZERO).await;
        assert!(matches!(reason(&held), Error::Held(_)), "{held}");
        lease.release().await.expect("a release");
    }
    let all = locker.acquire_all(["a", "b", "c"]).options(&at_once).await;
    assert_eq!(all.expect("all are free").iter().count(), 3);
    redis.pause().expect("SIGSTOP");
    let unanswered = refused(&locker, Duration::ZERO).await;
    assert!(is_unanswered(&unanswered), "{unanswered}");
    redis.resume().expect("SIGCONT");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_times_do_not_end() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    for timeout in [
        Duration::MAX,
        Duration::from_secs(i64::MAX as u64),
        Duration::from_secs(u64::MAX),
    ] {
        let lease = locker.acquire("report").await.expect("a lease");
        let options = within(timeout);
        let waiting = locker.acquire("report").options(&options);
        let release = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            lease.release().await.expect("a release");
        };
        let (waited, ()) = soon("the release", async { tokio::join!(waiting, release) }).await;
        waited.expect("a lease").release().await.expect("a release");
        let all = locker.acquire_all(["a", "b"]).options(&options).await;
        all.expect("both").release().await.expect("a release");
    }
    locker.close(Duration::MAX).await.expect("closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn times_that_cannot_be_kept_are_refused_on_every_way_in() {
    let redis = RedisServer::start().expect("redis-server");
    let endpoint = Endpoint::new("127.0.0.1", redis.port());
    let config = || Config::new(StandaloneTopology::new(endpoint.clone()));
    let zero_and_endless = [Duration::ZERO, Duration::MAX];
    for length in zero_and_endless {
        let mut configs = [config(), config(), config(), config(), config()];
        configs[0].lock.ttl = length;
        configs[1].lock.max_ttl = length;
        configs[2].lock.retry_interval = length;
        configs[3].lock.renewal = Renewal::Every(length);
        let mut topology = StandaloneTopology::new(endpoint.clone());
        topology.nodes.command_timeout = length;
        configs[4] = Config::new(topology);
        for (number, config) in configs.into_iter().enumerate() {
            let refused = Locker::connect(config).await;
            assert!(
                matches!(refused, Err(Error::Config(_))),
                "{number} with {length:?}: {refused:?}"
            );
        }
    }
    let locker = Locker::connect(config()).await.expect("connect");
    let restless = AcquireOptions::new().renewal(Renewal::Every(Duration::ZERO));
    let refused = locker.acquire("report").options(&restless).await;
    let refused = refused.expect_err("it would never rest");
    assert!(!refused.is_retryable(), "{refused}");
}
