//! Wrong names and lengths, by the API and by the environment.

use std::time::Duration;

use leasehold::config::ProblemKind;
use leasehold::{AcquireOptions, Error, Grants, Locker, Resource};
use leasehold_testkit::RedisServer;
use leasehold_tests::{connect, eventually, standalone_env};

async fn name_refusal(locker: &Locker, name: &str) -> String {
    let refused = locker.try_acquire(name).await.expect_err("a bad name");
    assert!(!refused.is_retryable());
    let waited = locker.acquire(name).await.expect_err("a bad name");
    assert_eq!(waited.to_string(), refused.to_string());
    refused.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_cannot_be_locked() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    for (name, expected) in [
        ("", "the resource name is empty; give it 1 to 512 bytes"),
        (
            "a\r\nDEL b",
            "the resource name has the control character '\\r' at byte 1; remove it",
        ),
        (
            "ab\n",
            "the resource name has the control character '\\n' at byte 2; remove it",
        ),
        (
            "nul\0",
            "the resource name has the control character '\\0' at byte 3; remove it",
        ),
        (
            "orders}",
            "the resource name has a closing brace but no hash tag such as {eu}, so its keys could \
             not share a cluster slot; remove the brace or complete the tag",
        ),
        (
            "{}orders",
            "the resource name has a closing brace but no hash tag such as {eu}, so its keys could \
             not share a cluster slot; remove the brace or complete the tag",
        ),
        (
            "orders:{eu}:queue",
            "the resource's key would be \"orders:{eu}:queue\", which the SDK uses itself; choose a \
             name that does not begin with leasehold:gate or leasehold:fence and, with a hash tag, \
             does not end in :queue, :alive, :slot-queue or :slot-alive",
        ),
    ] {
        assert_eq!(name_refusal(&locker, name).await, expected);
    }
    let both = ["orders:{eu}", "orders:{eu}:queue"];
    let refused = locker.acquire_all(both).await;
    assert!(refused.is_err());
    let untouched = redis.cli(&["EXISTS", both[0], both[1]]).expect("EXISTS");
    assert_eq!(untouched.trim(), "0", "nothing is taken first");
    assert_eq!(
        name_refusal(&locker, &"x".repeat(1 << 20)).await,
        "the resource name has 1048576 bytes; at most 512 are accepted, so lock a hash of it"
    );
    let not_text = locker.try_acquire(&b"ab\xffcd"[..]).await;
    assert_eq!(
        not_text.expect_err("not UTF-8").to_string(),
        "the resource name is not UTF-8 from byte 2 on; encode it, in hexadecimal for one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn unusual_names_that_can_be_locked() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    let longest = "x".repeat(Resource::MAX_BYTES);
    for name in [
        "{eu}:orders",
        "open{brace",
        "späße ☃",
        " ",
        "*?[a]",
        "%s\\",
        &longest,
    ] {
        let lease = locker.try_acquire(name).await.expect(name);
        assert!(redis.cli(&["GET", name]).expect("GET").contains('/'));
        lease.release().await.expect("a release");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lengths_out_of_bounds() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    for (ttl, expected) in [
        (
            Duration::ZERO,
            "a lease of 0ns cannot be granted: the shortest is 100ms",
        ),
        (
            Duration::from_millis(3_001),
            "a lease of 3.001s cannot be granted: the longest is 3s; ask for less, or raise \
             LOCK_MAX_TTL for every client of this Redis",
        ),
    ] {
        let options = AcquireOptions::new().ttl(ttl);
        let refused = locker.try_acquire("report").options(&options).await;
        let refused = refused.expect_err("a bad length");
        assert_eq!(refused.to_string(), expected);
        assert!(!refused.is_retryable());
        let waited = locker.acquire("report").options(&options).await;
        assert_eq!(waited.expect_err("a bad length").to_string(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ttl_above_what_the_other_clients_agreed_on() {
    let redis = RedisServer::start().expect("redis-server");
    let strict = ("LOCK_SAFETY", "strict");
    let first = connect(standalone_env(&redis), &[strict])
        .await
        .expect("connect");
    let lease = first.acquire("report").await.expect("a lease");
    lease.release().await.expect("a release");
    let longer = [strict, ("LOCK_TTL", "9s"), ("LOCK_MAX_TTL", "9s")];
    let second = connect(standalone_env(&redis), &longer)
        .await
        .expect("connect");
    // It has looked at the gate by then, and may have claimed it with its own length.
    eventually("the second locker knows the gate", async || {
        second.grants() == Grants::Open
    })
    .await;
    let refused = second.acquire("report").await.expect_err("too long");
    assert_eq!(
        refused.to_string(),
        "a lease of 9s cannot be granted: the clients of this Redis agreed on at most 3s; give all \
         of them the same LOCK_MAX_TTL"
    );
    assert!(!refused.is_retryable());
}

/// The words are held by the configuration's own tests.
#[tokio::test(flavor = "multi_thread")]
async fn lengths_in_the_environment() {
    let redis = RedisServer::start().expect("redis-server");
    for (variables, kind) in [
        (&[("LOCK_TTL", "0")][..], ProblemKind::InvalidValue),
        (
            &[("LOCK_TTL", "4s"), ("LOCK_MAX_TTL", "3s")],
            ProblemKind::Inconsistent,
        ),
    ] {
        let refused = connect(standalone_env(&redis), variables).await;
        let Err(Error::Config(error)) = refused else {
            panic!("{variables:?}: {refused:?}");
        };
        let problems = error.problems().iter();
        let problems: Vec<_> = problems.map(|p| (p.variable(), p.kind())).collect();
        assert_eq!(problems, [("LOCK_TTL", kind)]);
    }
}
