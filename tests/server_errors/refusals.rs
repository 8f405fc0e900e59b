//! S18: each refusal of a server, as the caller reads it; and a waiter carries on when it ends.

use std::fs;
use std::time::Duration;

use leasehold::{Cause, Error, Lease, Locker, Unavailable};
use leasehold_testkit::RedisServer;
use leasehold_tests::{blocking, connect, eventually, lease, soon, standalone_env};
use tokio::task::JoinHandle;

async fn locker(redis: &RedisServer, overrides: &[(&str, &str)]) -> Locker {
    connect(standalone_env(redis), overrides)
        .await
        .expect("connect")
}

fn say(redis: &RedisServer, words: &[&str]) {
    blocking(|| redis.command(words)).unwrap_or_else(|error| panic!("{words:?}: {error}"));
}

/// The infrastructure failure of an attempt, and its message without the node.
async fn refused(redis: &RedisServer, locker: &Locker) -> (Error, String) {
    let refused = soon("the refusal", locker.try_acquire("report")).await;
    let refused = refused.expect_err("the server is in trouble");
    let message = format!("{refused:?}");
    let message = message.strip_prefix(&format!("{}: ", redis.address()));
    let message = message.unwrap_or_else(|| panic!("{refused}")).to_owned();
    (refused, message)
}

fn waiter(locker: &Locker) -> JoinHandle<Result<Lease, Error>> {
    let locker = locker.clone();
    tokio::spawn(async move { locker.acquire("report").await })
}

async fn carries_on(waiter: JoinHandle<Result<Lease, Error>>) {
    let held = soon("the turn", waiter)
        .await
        .expect("the task")
        .expect("a lease");
    held.release().await.expect("a release");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_memory_left() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = locker(&redis, &[]).await;
    let held = lease(&locker, "held").await;
    say(&redis, &["CONFIG", "SET", "maxmemory", "1"]);
    let (error, message) = refused(&redis, &locker).await;
    assert_eq!(
        message,
        "it has no memory left for writes (OOM); raise maxmemory or remove data, and keep \
         maxmemory-policy noeviction"
    );
    assert!(error.is_retryable());
    held.renew().await.expect("a renewal takes no memory");
    held.release().await.expect("a release frees some");
    let waiter = waiter(&locker);
    say(&redis, &["CONFIG", "SET", "maxmemory", "0"]);
    carries_on(waiter).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_to_save() {
    let redis = RedisServer::builder()
        .persistence(true)
        .start()
        .expect("redis-server");
    let locker = locker(&redis, &[]).await;
    // A snapshot cannot replace a directory.
    fs::create_dir_all(redis.directory().join("dump.rdb/in-the-way")).expect("a directory");
    say(&redis, &["SET", "something", "to save"]);
    say(&redis, &["BGSAVE"]);
    eventually("the save has failed", async || {
        blocking(|| redis.info("persistence")).expect("INFO")["rdb_last_bgsave_status"] == "err"
    })
    .await;
    let (error, message) = refused(&redis, &locker).await;
    assert_eq!(
        message,
        "it refuses writes because it cannot save to disk (MISCONF); free the disk or fix its \
         permissions; Redis refuses writes until a save succeeds"
    );
    assert!(error.is_retryable());
    let waiter = waiter(&locker);
    fs::remove_dir_all(redis.directory().join("dump.rdb")).expect("the way is free");
    say(&redis, &["BGSAVE"]);
    carries_on(waiter).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_replicas() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = locker(&redis, &[]).await;
    let held = lease(&locker, "held").await;
    say(&redis, &["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let (error, message) = refused(&redis, &locker).await;
    assert_eq!(
        message,
        "it has too few healthy replicas to take writes (NOREPLICAS); bring its replicas back or \
         lower min-replicas-to-write"
    );
    assert!(error.is_retryable());
    // Nothing can be written, so the release goes on in the background.
    let unreleased = soon("the refusal", held.release())
        .await
        .expect_err("refused");
    assert_eq!(
        unreleased.unavailable().map(Unavailable::cause),
        Some(&Cause::NoReplicas)
    );
    let waiter = waiter(&locker);
    say(&redis, &["CONFIG", "SET", "min-replicas-to-write", "0"]);
    carries_on(waiter).await;
    eventually("the release is made up for", async || {
        locker.inspect("held").await.expect("inspect").is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_never_ends() {
    let redis = RedisServer::builder()
        .config("lua-time-limit", "50")
        .start()
        .expect("redis-server");
    let locker = locker(&redis, &[("LOCK_TTL", "9s"), ("LOCK_MAX_TTL", "9s")]).await;
    let mut other = redis.connection().expect("a connection");
    let script = std::thread::spawn(move || {
        redis::cmd("EVAL")
            .arg("while true do end")
            .arg(0)
            .exec(&mut other)
    });
    soon("BUSY", async {
        loop {
            let attempt = locker.try_acquire("report").await;
            let error = attempt.map(drop).err();
            if error
                .as_ref()
                .and_then(Error::unavailable)
                .map(Unavailable::cause)
                == Some(&Cause::Busy)
            {
                break;
            }
        }
    })
    .await;
    let (error, message) = refused(&redis, &locker).await;
    assert_eq!(
        message,
        "it is blocked by a slow script (BUSY); find the slow script in SLOWLOG; SCRIPT KILL ends it"
    );
    assert!(error.is_retryable());
    // A connection that is made now, with a database to select, is told the same.
    let database = [("REDIS_DB", "1")];
    let late = connect(standalone_env(&redis), &database)
        .await
        .expect_err("BUSY");
    assert_eq!(
        late.unavailable().map(Unavailable::cause),
        Some(&Cause::Busy),
        "{late}"
    );
    let waiter = waiter(&locker);
    say(&redis, &["SCRIPT", "KILL"]);
    carries_on(waiter).await;
    let _ = script.join();
}

/// A restart with enough data that loading takes a while.
#[tokio::test(flavor = "multi_thread")]
async fn loading() {
    let redis = RedisServer::builder()
        .persistence(true)
        .config("key-load-delay", "20000")
        // Between keys the server answers, if they are long enough.
        .config("rdbcompression", "no")
        .config("loading-process-events-interval-bytes", "1024")
        .start()
        .expect("redis-server");
    let held_by = locker(&redis, &[]).await;
    let fill = "for i = 1, 120 do redis.call('SET', 'filler' .. i, string.rep('x', 2000)) end";
    say(&redis, &["EVAL", fill, "0"]);
    say(&redis, &["SAVE"]);
    redis.kill();
    std::thread::scope(|scope| {
        let restart = scope.spawn(|| redis.restart());
        let seen = wait_here(async {
            soon("LOADING", async {
                loop {
                    if let Err(error) = held_by.try_acquire("report").await
                        && error.unavailable().map(Unavailable::cause) == Some(&Cause::Loading)
                    {
                        break error;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            })
            .await
        });
        assert_eq!(
            seen.to_string(),
            format!(
                "{}: it is still loading its data (LOADING); wait until it has loaded its data",
                redis.address()
            )
        );
        assert!(seen.is_retryable());
        restart.join().expect("the thread").expect("a restart");
    });
    carries_on(waiter(&held_by)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_connections_left() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = locker(&redis, &[]).await;
    let mut operator = redis.connection().expect("a connection");
    let mut operate = |words: &[&str]| {
        let mut command = redis::cmd(words[0]);
        command
            .arg(&words[1..])
            .exec(&mut operator)
            .expect("a command");
    };
    operate(&["CONFIG", "SET", "maxclients", "1"]);
    operate(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    operate(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    let refused = soon("the refusal", async {
        loop {
            if let Err(error) = locker.try_acquire("report").await
                && error.unavailable().map(Unavailable::cause) == Some(&Cause::TooManyClients)
            {
                break error;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(
        refused.to_string(),
        format!(
            "{}: it has no connection left (maxclients); raise maxclients or find who leaks \
             connections (CLIENT LIST)",
            redis.address()
        )
    );
    assert!(refused.is_retryable());
    let waiter = waiter(&locker);
    operate(&["CONFIG", "SET", "maxclients", "1000"]);
    carries_on(waiter).await;
}

/// Permissions are checked within scripts as well, and taken away from open connections.
#[tokio::test(flavor = "multi_thread")]
async fn no_permission() {
    let redis = RedisServer::builder()
        .access_control_list(
            "user default on nopass ~* &* +@all\nuser app on >secret ~* &* +@all\n",
        )
        .start()
        .expect("redis-server");
    let login = [("REDIS_USERNAME", "app"), ("REDIS_PASSWORD", "secret")];
    let locker = locker(&redis, &login).await;
    lease(&locker, "first")
        .await
        .release()
        .await
        .expect("a release");
    // The first grant of a locker is a script's.
    let another = self::locker(&redis, &login).await;
    for (locker, rule, back) in [
        (&locker, "-set", "+set"),
        (&another, "-evalsha", "+evalsha"),
    ] {
        say(&redis, &["ACL", "SETUSER", "app", rule]);
        let (error, _) = refused(&redis, locker).await;
        let cause = error.unavailable().map(Unavailable::cause);
        assert!(
            matches!(cause, Some(Cause::NoPermission { .. })),
            "{error:?}"
        );
        assert!(!error.is_retryable());
        let waited = soon("the refusal", locker.acquire("report")).await;
        assert!(waited.is_err(), "waiting does not help");
        say(&redis, &["ACL", "SETUSER", "app", back]);
    }
    assert!(
        !redis
            .command(&["EXISTS", "report"])
            .is_ok_and(|found| found == redis::Value::Int(1))
    );
    lease(&locker, "report")
        .await
        .release()
        .await
        .expect("a release");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_no_lock() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = locker(&redis, &[]).await;
    say(&redis, &["LPUSH", "report", "a list"]);
    let (error, message) = refused(&redis, &locker).await;
    assert_eq!(
        message,
        "the key holds something other than a lock (WRONGTYPE); choose another resource name or \
         LOCK_KEY_PREFIX: the key is in use"
    );
    assert!(!error.is_retryable());
}

/// Waits for a future within code that cannot await.
fn wait_here<T>(future: impl Future<Output = T>) -> T {
    blocking(|| tokio::runtime::Handle::current().block_on(future))
}
