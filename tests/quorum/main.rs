//! Independent masters: a majority decides, a minority may be dead, hung or empty.

mod fences;
mod waiting;

use std::time::Duration;

use leasehold::{AcquireOptions, Error, Locker, LostReason, Released};
use leasehold_testkit::{Mode, Proxy, RedisServer};
use leasehold_tests::{connect, eventually, soon};

fn servers(count: usize) -> Vec<RedisServer> {
    (0..count)
        .map(|_| RedisServer::start().expect("redis-server"))
        .collect()
}

fn env(servers: &[RedisServer]) -> Vec<(String, String)> {
    let nodes: Vec<String> = servers.iter().map(|server| server.url()).collect();
    [
        ("IS_LOCKING_DISABLED", "false"),
        ("LOCK_REDLOCK_NODES", &nodes.join(",")),
        ("LOCK_TTL", "2s"),
        ("LOCK_MAX_TTL", "2s"),
        ("REDIS_COMMAND_TIMEOUT", "500ms"),
        ("LOCK_RETRY_INTERVAL", "200ms"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// A locker all of whose members' gates are open: they have been up for longer than a lease.
async fn ready(servers: &[RedisServer], owner: &str) -> Locker {
    ready_with(servers, owner, &[]).await
}

async fn ready_with(servers: &[RedisServer], owner: &str, overrides: &[(&str, &str)]) -> Locker {
    let overrides = [&[("LOCK_OWNER", owner)], overrides].concat();
    let locker = connect(env(servers), &overrides).await.expect("connect");
    eventually("open gates", async || {
        let name = format!("warm-up-of-{owner}");
        let Ok(lease) = locker.try_acquire(name.as_str()).await else {
            return false;
        };
        tokio::time::sleep(Duration::from_millis(20)).await;
        let all = holders(servers, &name).await == servers.len();
        lease.release().await.expect("a release");
        all
    })
    .await;
    locker
}

async fn holders(servers: &[RedisServer], key: &str) -> usize {
    servers
        .iter()
        .filter(|server| {
            server.is_serving() && server.cli(&["EXISTS", key]).is_ok_and(|n| n.trim() == "1")
        })
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_majority_grants_and_excludes() {
    let servers = servers(3);
    let (first, second) = (
        ready(&servers, "first").await,
        ready(&servers, "second").await,
    );
    let lease = first.acquire("report").await.expect("a lease");
    eventually("every member has it", async || {
        holders(&servers, "report").await == 3
    })
    .await;
    let Err(Error::Held(held)) = second.try_acquire("report").await else {
        panic!("granted twice")
    };
    assert_eq!(held.owner.as_deref(), Some("first"));
    let fence = lease.fence();
    assert_eq!(
        lease.release().await.expect("a release"),
        Released::Released
    );
    eventually("no member has it", async || {
        holders(&servers, "report").await == 0
    })
    .await;
    assert!(second.try_acquire("report").await.expect("a lease").fence() > fence);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minority_may_be_dead_or_hung() {
    let servers = servers(5);
    let locker = ready(&servers, "first").await;
    servers[0].kill();
    servers[1].pause().expect("SIGSTOP");
    let mut last = None;
    for _ in 0..20 {
        let lease = soon("a lease", locker.acquire("report"))
            .await
            .expect("a lease");
        assert!(Some(lease.fence()) > last);
        last = Some(lease.fence());
        assert_eq!(
            lease.release().await.expect("a release"),
            Released::Released
        );
    }
    servers[2].kill();
    let options = AcquireOptions::new().timeout(Duration::from_secs(2));
    let error = locker
        .acquire("report")
        .options(&options)
        .await
        .expect_err("no majority");
    assert!(
        format!("{error:?}").contains(&servers[0].address()),
        "{error}"
    );
    assert!(error.is_retryable());
    servers[1].resume().expect("SIGCONT");
    soon("a lease again", locker.acquire("report"))
        .await
        .expect("a lease")
        .release()
        .await
        .expect("a release");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_out_of_reach_holds_up_nothing_that_is_taken_back() {
    let servers = servers(5);
    let ttl = [("LOCK_TTL", "12s"), ("LOCK_MAX_TTL", "12s")];
    let locker = ready_with(&servers, "first", &ttl).await;
    servers[0].kill();
    // Two members of five are no majority: each attempt takes back what it got of them.
    for server in &servers[1..3] {
        server
            .command(&["SET", "report", "stopped", "PX", "1000"])
            .expect("SET");
    }
    let acquiring = tokio::time::timeout(Duration::from_secs(6), locker.acquire("report"));
    let _lease = acquiring
        .await
        .expect("a lease before what an attempt left behind can have expired")
        .expect("a lease");
}

/// Of three members one has forgotten the lock and one hangs: no majority tells what became of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_does_not_wait_for_a_member_that_hangs() {
    let servers = servers(3);
    let ttl = [("LOCK_TTL", "12s"), ("LOCK_MAX_TTL", "12s")];
    let locker = ready_with(&servers, "first", &ttl).await;
    let lease = locker.acquire("report").await.expect("a lease");
    eventually("every member has it", async || {
        holders(&servers, "report").await == 3
    })
    .await;
    servers[0].command(&["DEL", "report"]).expect("DEL");
    servers[1].pause().expect("SIGSTOP");
    let releasing = tokio::time::timeout(Duration::from_secs(6), lease.release());
    let released = releasing.await.expect("an outcome before the lock expires");
    assert_eq!(released.expect("a release"), Released::Released);
    servers[1].resume().expect("SIGCONT");
    eventually("the one that hung was told", async || {
        holders(&servers, "report").await == 0
    })
    .await;
}

/// A slow member that has forgotten a lock is given it again by a renewal, whose majority has long
/// answered; meanwhile the lease was released.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_released_is_not_given_to_a_slow_member_again() {
    let servers = servers(3);
    let proxy = Proxy::start(servers[0].address()).expect("a proxy");
    let mut nodes: Vec<String> = servers.iter().map(|server| server.url()).collect();
    nodes[0] = format!("redis://{}", proxy.address());
    let overrides = [
        ("LOCK_REDLOCK_NODES", &*nodes.join(",")),
        ("LOCK_TTL", "6s"),
        ("LOCK_MAX_TTL", "6s"),
        ("REDIS_COMMAND_TIMEOUT", "1500ms"),
    ];
    let locker = ready_with(&servers, "first", &overrides).await;
    let released = locker.acquire("released").await.expect("a lease");
    let kept = locker.acquire("kept").await.expect("a lease");
    for key in ["released", "kept"] {
        eventually("every member has it", async || {
            holders(&servers, key).await == 3
        })
        .await;
        servers[0].command(&["DEL", key]).expect("DEL");
    }
    proxy
        .set_mode(Mode::Delay(Duration::from_millis(300)))
        .expect("a delay");
    released.renew().await.expect("a renewal by the other two");
    kept.renew().await.expect("a renewal by the other two");
    released.release().await.expect("a release");
    eventually(
        "what is kept is given to the slow one, later than the other would be",
        async || holders(&servers, "kept").await == 3,
    )
    .await;
    assert_eq!(holders(&servers, "released").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_survives_while_a_majority_renews_it() {
    let servers = servers(3);
    let locker = ready(&servers, "first").await;
    let lease = locker.acquire("report").await.expect("a lease");
    servers[0].kill();
    tokio::time::sleep(2 * lease.ttl()).await;
    assert!(lease.is_valid());
    servers[1].kill();
    let deadline = lease.deadline();
    let reason = soon("the loss", lease.lost()).await;
    assert!(matches!(reason, LostReason::Expired { .. }), "{reason}");
    let _ = deadline;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_came_back_empty_does_not_vote_at_once() {
    let servers = servers(3);
    let (first, second) = (
        ready(&servers, "first").await,
        ready(&servers, "second").await,
    );
    // Held on two of three: one member was away.
    servers[2].pause().expect("SIGSTOP");
    let lease = soon("a lease", first.acquire("report"))
        .await
        .expect("a lease");
    servers[2].resume().expect("SIGCONT");
    eventually("the third has it or never will", async || {
        servers[2].is_serving()
    })
    .await;
    servers[2].command(&["DEL", "report"]).expect("DEL");
    // One of the two forgets. Without its gate it would vote, and with the third be a majority.
    servers[0].restart_empty().expect("a restart");
    let until = tokio::time::Instant::now() + Duration::from_millis(1_000);
    while tokio::time::Instant::now() < until {
        let attempt = second.try_acquire("report").await;
        assert!(attempt.is_err(), "granted twice");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(lease);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_vote_names_each_member() {
    let servers = servers(3);
    let locker = ready(&servers, "first").await;
    servers[0]
        .command(&["SET", "report", "one", "PX", "60000"])
        .expect("SET");
    servers[1]
        .command(&["SET", "report", "two", "PX", "60000"])
        .expect("SET");
    let error = locker.try_acquire("report").await.expect_err("no majority");
    let Error::NoQuorum {
        granted,
        members,
        nodes,
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert!(*granted <= 1 && *members == 3);
    assert!(
        nodes.contains("held by one…") && nodes.contains("held by two…"),
        "{nodes}"
    );
    eventually("the third is given back", async || {
        servers[2]
            .cli(&["EXISTS", "report"])
            .is_ok_and(|n| n.trim() == "0")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contenders_never_hold_at_once_and_fences_increase() {
    let servers = servers(3);
    let inside = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let fences = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut workers = Vec::new();
    for number in 0..4 {
        let locker = ready(&servers, &format!("worker-{number}")).await;
        let (inside, fences) = (inside.clone(), fences.clone());
        workers.push(tokio::spawn(async move {
            for _ in 0..15 {
                let lease = locker.acquire("report").await.expect("a lease");
                assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                fences.lock().expect("fences").push(lease.fence());
                inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                lease.release().await.expect("a release");
            }
        }));
    }
    for worker in workers {
        soon("all turns", worker).await.expect("the task");
    }
    let fences = fences.lock().expect("fences").clone();
    assert!(
        fences.is_sorted_by(|earlier, later| earlier < later),
        "{fences:?}"
    );
    assert_eq!(fences.len(), 60);
}
