//! A data set that forgets: flushed, or started empty.

use leasehold::{Error, Fence};
use leasehold_testkit::RedisServer;
use leasehold_tests::{blocking, connect, eventually, soon, standalone_env};

use crate::rivals::{NAME, Rival, TTL, cluster, hold, plain_grant, referee, strict};

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_frees_nothing_that_is_held() {
    let cluster = cluster().start().expect("a cluster");
    let (one, other) = (strict(&cluster).await, strict(&cluster).await);
    assert!(plain_grant(cluster.node(0), "first"));
    let holder = hold(&one).await;
    let rival = Rival::start(&other);
    cluster.node(0).flush().expect("FLUSHALL");
    assert!(
        plain_grant(cluster.node(0), "second"),
        "the plain recipe is granted twice"
    );
    // The holder renews after a third of its lease, finds no key and asserts it again behind the closed gate.
    referee(holder, &rival, TTL * 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_restarts_empty_frees_nothing_that_is_held() {
    let cluster = cluster().start().expect("a cluster");
    let (one, other) = (strict(&cluster).await, strict(&cluster).await);
    assert!(plain_grant(cluster.node(0), "first"));
    let holder = hold(&one).await;
    let rival = Rival::start(&other);
    // Sooner than Sentinel notices: the replicas copy the empty data set.
    cluster.node(0).restart_empty().expect("an empty restart");
    eventually("the Sentinels name a master", async || {
        blocking(|| cluster.master()).is_ok()
    })
    .await;
    let master = cluster.master().expect("a master");
    assert!(
        plain_grant(master, "second"),
        "the plain recipe is granted twice"
    );
    referee(holder, &rival, TTL * 2).await;
}

/// The counter is older than the grants: it has to be set to the time, for this is another life of the server.
#[tokio::test(flavor = "multi_thread")]
async fn fences_go_up_over_a_restart_with_an_older_snapshot() {
    let server = RedisServer::start().expect("redis-server");
    let mut last = None;
    for is_saved in [true, false, false, false] {
        last = Some(fence_of_a_new_locker(&server).await);
        if is_saved {
            server.command(&["SAVE"]).expect("SAVE");
        }
    }
    server.restart().expect("a restart");
    let fence = fence_of_a_new_locker(&server).await;
    assert!(Some(fence) > last, "{fence} after {last:?}");
}

/// Of a locker that has seen no fence before.
async fn fence_of_a_new_locker(server: &RedisServer) -> Fence {
    let locker = connect(standalone_env(server), &[]).await.expect("connect");
    let lease = soon("a lease", locker.acquire(NAME))
        .await
        .expect("a lease");
    let fence = lease.fence();
    lease.release().await.expect("a release");
    fence
}

#[tokio::test(flavor = "multi_thread")]
async fn fences_go_up_over_flushes_and_empty_restarts_in_every_mode() {
    let server = RedisServer::start().expect("redis-server");
    let mut last = None;
    for round in 0..4 {
        // A new locker each time, so that nothing but the server's clock can know of the fences before.
        let fence = fence_of_a_new_locker(&server).await;
        assert!(Some(fence) > last, "{fence} after {last:?}");
        last = Some(fence);
        if round % 2 == 0 {
            server.flush().expect("FLUSHALL");
        } else {
            server.restart_empty().expect("an empty restart");
        }
    }
}

/// Beyond 2^53 Lua's numbers skip integers, and two grants would share a fence.
#[tokio::test(flavor = "multi_thread")]
async fn fences_end_before_they_become_inexact() {
    let server = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&server), &[])
        .await
        .expect("connect");
    let greatest = leasehold::Fence::MAX.to_string();
    server
        .command(&["HSET", "leasehold:fence", "last", &greatest])
        .expect("HSET");
    let refused = locker
        .try_acquire(NAME)
        .await
        .expect_err("there is no greater fence");
    assert!(!matches!(refused, Error::Held(_)), "{refused}");
    leasehold_tests::eventually("the grant without a fence to be taken back", async || {
        locker
            .inspect(NAME)
            .await
            .is_ok_and(|holder| holder.is_none())
    })
    .await;
}

/// E13, assumed and not prevented: `maxmemory-policy noeviction`. A server that may evict keys with an expiry evicts
/// locks. The holder is told at its next renewal, and the fence tells the two apart.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_evicts_locks_leaves_two_holders_with_different_fences() {
    let server = RedisServer::builder()
        .config("maxmemory", "4mb")
        .config("maxmemory-policy", "volatile-ttl")
        .start()
        .expect("redis-server");
    let one = connect(standalone_env(&server), &[])
        .await
        .expect("connect");
    let other = connect(standalone_env(&server), &[])
        .await
        .expect("connect");
    let holder = soon("a lease", one.acquire(NAME)).await.expect("a lease");
    let filler = "x".repeat(200_000);
    for number in 0..100 {
        let _ = server.command(&["SET", &format!("filler{number}"), &filler, "EX", "1000"]);
    }
    let second = other.try_acquire(NAME).await.expect("the lock was evicted");
    assert!(
        holder.is_valid() && second.is_valid(),
        "two holders, by an assumption that was broken"
    );
    assert!(holder.fence() < second.fence());
    soon("the loss", holder.lost()).await;
    assert!(second.is_valid());
}
