//! Commands that a server refuses: renamed, disabled, or taken by a proxy on the way.

use leasehold::{Cause, Error, Unavailable};
use leasehold_testkit::{FakeServer, RedisServer, Reply, SentinelCluster, SentinelServer};
use leasehold_tests::{
    connect, eventually, fail_over, lease, lease_on, port_env, refusal, sentinel_env, soon,
    standalone_env,
};

const EVERYWHERE: &str = "remove rename-command for it from redis.conf, or connect to the server \
                          itself if a proxy refuses it";

fn without(commands: &[&str]) -> RedisServer {
    let mut builder = RedisServer::builder();
    for command in commands {
        builder = builder.config(format!("rename-command {command}"), "\"\"");
    }
    builder.start().expect("redis-server")
}

fn disabled(error: &Error) -> Option<&str> {
    match error.unavailable().map(Unavailable::cause) {
        Some(Cause::CommandDisabled { command }) => Some(command),
        _ => None,
    }
}

/// What is needed to connect, and how the refusal reads.
#[tokio::test(flavor = "multi_thread")]
async fn connecting_names_the_command_that_is_disabled() {
    let needed = [
        (
            "HELLO",
            "",
            "remove rename-command for it from redis.conf; a server older than Redis 6 does not \
             have it, and neither have some proxies: connect to the server itself",
        ),
        (
            "SELECT",
            "3",
            "remove rename-command for it from redis.conf, or set REDIS_DB=0",
        ),
    ];
    for (command, database, fix) in needed {
        let redis = without(&[command]);
        assert_eq!(
            refusal(standalone_env(&redis), &[("REDIS_DB", database)]).await,
            format!(
                "{}: it refuses the command {command} (unknown command); {fix}",
                redis.address()
            )
        );
    }
}

/// A proxy that knows some commands only.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_without_info_is_named_as_such() {
    let proxy = FakeServer::with(|request, _| {
        if request.is("INFO") {
            Reply::error("ERR unsupported command 'info'")
        } else {
            Reply::Usual
        }
    });
    let proxy = proxy.expect("a listener");
    assert_eq!(
        refusal(port_env(proxy.port()), &[]).await,
        format!(
            "{}: it refuses the command INFO (unknown command); {EVERYWHERE}",
            proxy.address()
        )
    );
}

/// Redis before 7 quotes the command in another way.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_server_without_hello_is_told_as_such() {
    let old = FakeServer::with(|request, _| {
        if request.is("HELLO") {
            Reply::error("ERR unknown command `HELLO`, with args beginning with: `3`, ")
        } else {
            Reply::Usual
        }
    });
    let old = old.expect("a listener");
    let told = refusal(port_env(old.port()), &[]).await;
    assert!(
        told.contains("it refuses the command HELLO (unknown command); remove rename-command"),
        "{told}"
    );
}

/// Without a database number, `SELECT` is not needed; `CLIENT` is a convenience.
#[tokio::test(flavor = "multi_thread")]
async fn commands_that_are_not_needed_may_be_disabled() {
    let redis = without(&["SELECT", "CLIENT", "CONFIG", "KEYS", "FLUSHALL", "DEBUG"]);
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    let held = lease(&locker, "report").await;
    held.renew().await.expect("a renewal");
    held.release().await.expect("a release");
}

/// A Sentinel has no `SELECT` either, and is still recognised.
#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_with_a_database_number_is_told_as_such() {
    let redis = RedisServer::start().expect("redis-server");
    let sentinel = SentinelServer::builder("127.0.0.1", redis.port()).start();
    let sentinel = sentinel.expect("a Sentinel");
    let port = sentinel.port().to_string();
    let wrong = [("REDIS_PORT", port.as_str()), ("REDIS_DB", "3")];
    let error = connect(standalone_env(&redis), &wrong).await;
    let error = error.expect_err("it is no data node");
    let cause = error.unavailable().map(Unavailable::cause);
    assert_eq!(cause, Some(&Cause::IsSentinel), "{error:?}");
}

/// No message repeats the token, which the server puts into its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_script_command_is_named_and_no_token_is_shown() {
    let redis = without(&["EVALSHA", "EVAL"]);
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    let held = soon("an answer", locker.try_acquire("report")).await;
    let refused = match held {
        Err(refused) => refused,
        // What needs no script is granted; then the release says it.
        Ok(held) => soon("an answer", held.release())
            .await
            .expect_err("scripts are disabled"),
    };
    let command = disabled(&refused).unwrap_or_else(|| panic!("{refused}"));
    assert!(command.starts_with("EVAL"), "{refused}");
    let message = refused.to_string();
    assert!(message.contains(EVERYWHERE), "{message}");
    let longest = message.split(|c: char| !c.is_ascii_hexdigit());
    let longest = longest.map(str::len).max().unwrap_or_default();
    assert!(longest < 16, "a token: {message}");
    assert!(!refused.is_retryable());
}

/// A waiter polls where it may not listen.
#[tokio::test(flavor = "multi_thread")]
async fn without_subscribe_waiters_poll() {
    let redis = without(&["SUBSCRIBE"]);
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    let held = lease(&locker, "report").await;
    let waiter = {
        let locker = locker.clone();
        tokio::spawn(async move { locker.acquire("report").await })
    };
    held.release().await.expect("a release");
    let next = soon("the turn", waiter).await.expect("the task");
    next.expect("a lease").release().await.expect("a release");
}

/// A release calls those who wait in the same process, whom no server calls there.
#[tokio::test(flavor = "multi_thread")]
async fn without_subscribe_waiters_of_the_same_process_are_called() {
    let redis = without(&["SUBSCRIBE"]);
    // Longer than this test waits.
    let long = [
        ("LOCK_TTL", "60s"),
        ("LOCK_MAX_TTL", "60s"),
        ("LOCK_RETRY_INTERVAL", "60s"),
    ];
    let locker = connect(standalone_env(&redis), &long)
        .await
        .expect("connect");
    for is_dropped in [false, true] {
        let held = lease(&locker, "report").await;
        let waiter = {
            let locker = locker.clone();
            tokio::spawn(async move { locker.acquire("report").await })
        };
        eventually("the refusal", async || {
            matches!(locker.obstacle("report"), Ok(Some(_)))
        })
        .await;
        if is_dropped {
            drop(held);
        } else {
            held.release().await.expect("a release");
        }
        let next = soon("the turn", waiter).await.expect("the task");
        next.expect("a lease").release().await.expect("a release");
    }
}

/// The events of a Sentinel that takes no `SUBSCRIBE` are polled.
#[tokio::test(flavor = "multi_thread")]
async fn sentinels_without_subscribe_are_polled() {
    let cluster = SentinelCluster::builder()
        .sentinel_config("rename-command SUBSCRIBE", "\"\"")
        .start()
        .expect("a cluster");
    let relaxed = [("LOCK_SAFETY", "relaxed")];
    let locker = connect(sentinel_env(&cluster), &relaxed)
        .await
        .expect("connect");
    lease(&locker, "report")
        .await
        .release()
        .await
        .expect("a release");
    let (_, new) = fail_over(&cluster);
    let held = lease_on(cluster.node(new), &locker, "report").await;
    held.release().await.expect("a release");
}

/// Strict mode cannot do without `WAIT`, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn without_wait_strict_mode_names_it() {
    let cluster = SentinelCluster::builder()
        .node_config("rename-command WAIT", "\"\"")
        .start()
        .expect("a cluster");
    let locker = connect(sentinel_env(&cluster), &[]).await.expect("connect");
    let refused = soon("the refusal", locker.acquire("report")).await;
    let refused = refused.expect_err("nothing can be confirmed");
    let message = refused.to_string();
    assert!(message.contains("the command WAIT"), "{message}");
    assert!(message.contains("LOCK_SAFETY=relaxed"), "{message}");
}
