//! Clocks that disagree, and clocks that jump.

use std::time::Duration;

use leasehold::Grants;
use leasehold_testkit::{Mode, Proxy, RedisServer};
use leasehold_tests::{blocking, connect, eventually, opened, port_env, soon, standalone_env};

use crate::rivals::{NAME, Rival, TTL, cluster, hold, plain_grant, referee, strict};

/// E9: expiry is copied as a time of day, so a key is gone on a replica whose clock is ahead.
#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_replica_whose_clock_is_ahead_frees_nothing_that_is_held() {
    let cluster = cluster().clock_shim(true).start().expect("a cluster");
    let (one, other) = (strict(&cluster).await, strict(&cluster).await);
    opened(&one).await;
    for replica in [1, 2] {
        cluster
            .node(replica)
            .set_clock_offset(40_000)
            .expect("a clock");
    }
    let holder = hold(&one).await;
    assert!(plain_grant(cluster.node(0), "first"));
    cluster
        .node(0)
        .wait_for_replicas(2, Duration::from_secs(5))
        .expect("replicas in step");
    let rival = Rival::start(&other);
    cluster.node(0).kill();
    let new = cluster.wait_for_new_master(0).expect("a new master");
    assert!(
        plain_grant(cluster.node(new), "second"),
        "although it was copied"
    );
    referee(holder, &rival, TTL * 2).await;
}

/// The other way round: a clock that is behind keeps locks for longer, and fences go up as long as the clocks differ by
/// less than the longest lease.
#[tokio::test(flavor = "multi_thread")]
async fn fences_go_up_when_a_replica_is_promoted_whose_clock_is_behind() {
    let cluster = cluster().clock_shim(true).start().expect("a cluster");
    let (one, other) = (strict(&cluster).await, strict(&cluster).await);
    for replica in [1, 2] {
        cluster
            .node(replica)
            .set_clock_offset(-2_000)
            .expect("a clock");
    }
    let holder = hold(&one).await;
    let rival = Rival::start(&other);
    cluster.node(0).kill();
    cluster.wait_for_new_master(0).expect("a new master");
    referee(holder, &rival, TTL).await;
}

/// Assumed, not prevented: that the clock of a serving master makes no step forward. Its keys expire under their
/// holders, in every mode. The fence still tells the two apart.
#[tokio::test(flavor = "multi_thread")]
async fn a_serving_masters_clock_that_jumps_ahead_leaves_two_holders_with_different_fences() {
    let server = RedisServer::builder()
        .clock_shim(true)
        .start()
        .expect("redis-server");
    let one = connect(standalone_env(&server), &[])
        .await
        .expect("connect");
    let other = connect(standalone_env(&server), &[])
        .await
        .expect("connect");
    let holder = soon("a lease", one.acquire(NAME)).await.expect("a lease");
    server.set_clock_offset(60_000).expect("a clock");
    let second = soon("a lease", other.acquire(NAME)).await.expect("a lease");
    assert!(
        holder.is_valid() && second.is_valid(),
        "two holders, by an assumption that was broken"
    );
    assert!(holder.fence() < second.fence());
}

/// A clock that is set back only keeps a lock for longer; its holder can give it back.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_frees_nothing_and_fences_go_up() {
    let server = RedisServer::builder()
        .clock_shim(true)
        .start()
        .expect("redis-server");
    let one = connect(standalone_env(&server), &[])
        .await
        .expect("connect");
    let other = connect(standalone_env(&server), &[])
        .await
        .expect("connect");
    let holder = hold(&one).await;
    let rival = Rival::start(&other);
    server.set_clock_offset(-3_600_000).expect("a clock");
    referee(holder, &rival, TTL).await;
}

/// A gate that is closed for a while is closed for no longer when the server's clock is set back meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_keeps_no_gate_closed() {
    let server = RedisServer::builder()
        .clock_shim(true)
        .append_only(true)
        .start()
        .expect("redis-server");
    let locker = connect(standalone_env(&server), &[("LOCK_SAFETY", "strict")])
        .await
        .expect("connect");
    let first = soon("the first grant", locker.acquire(NAME)).await;
    first.expect("a lease").release().await.expect("a release");
    blocking(|| server.restart()).expect("a restart");
    eventually("the gate to be closed after the restart", async || {
        matches!(locker.grants(), Grants::Closed { .. })
    })
    .await;
    server.set_clock_offset(-60_000).expect("a clock");
    // Another lock: the server may have forgotten the release, and would keep that one by its clock.
    let next = soon("the gate to open", locker.acquire("another")).await;
    next.expect("a lease").release().await.expect("a release");
}

/// The server counts the time that it is up by the same clock, so the count may be negative.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_before_the_gate_is_claimed_keeps_no_gate_closed() {
    let server = RedisServer::builder()
        .clock_shim(true)
        .start()
        .expect("redis-server");
    server.set_clock_offset(-60_000).expect("a clock");
    let locker = connect(standalone_env(&server), &[("LOCK_SAFETY", "strict")])
        .await
        .expect("connect");
    let first = soon("the gate to open", locker.acquire(NAME)).await;
    first.expect("a lease").release().await.expect("a release");
}

/// The same for a waiter that was called and does not come: those behind it wait for its claim alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_keeps_no_place_in_the_queue() {
    let server = RedisServer::builder()
        .clock_shim(true)
        .start()
        .expect("redis-server");
    let proxy = Proxy::start(server.address()).expect("a proxy");
    let one = connect(standalone_env(&server), &[])
        .await
        .expect("connect");
    let silent = connect(port_env(proxy.port()), &[]).await.expect("connect");
    let held = one.acquire(NAME).await.expect("a lease");
    let waiting = tokio::spawn(async move { silent.acquire(NAME).await });
    let queue = format!("{{{NAME}}}:queue");
    eventually("the other one to wait", async || {
        blocking(|| server.cli(&["ZCARD", &queue])).expect("ZCARD") == "1"
    })
    .await;
    proxy.set_mode(Mode::Blackhole).expect("a black hole");
    held.release().await.expect("a release");
    server.set_clock_offset(-60_000).expect("a clock");
    let next = soon("the claim to end", one.acquire(NAME)).await;
    next.expect("a lease").release().await.expect("a release");
    waiting.abort();
}
