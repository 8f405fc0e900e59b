//! A fence is proposed to all members: one round trip where they agree, two where they do not.

use std::sync::Arc;

use leasehold_testkit::RedisServer;
use leasehold_tests::{eventually, scripts, soon};

use super::{holders, ready, servers};

const ROUNDS: u64 = 10;

/// Waits until each member was sent so many more scripts than it was before, and no more.
async fn sent_in_all(servers: &[&RedisServer], before: &[u64], more: u64) {
    for (server, before) in servers.iter().zip(before) {
        eventually("the last script", async || scripts(server) >= before + more).await;
        assert_eq!(scripts(server) - before, more, "{}", server.address());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_one_round_trip_with_a_dead_member_too() {
    let servers = servers(3);
    let locker = ready(&servers, "first").await;
    eventually("the last release of the warm-up", async || {
        holders(&servers, "warm-up-of-first").await == 0
    })
    .await;
    for alive in [3, 2] {
        if alive == 2 {
            servers[2].kill();
        }
        let members: Vec<&RedisServer> = servers.iter().take(alive).collect();
        let before: Vec<u64> = members.iter().map(|server| scripts(server)).collect();
        for _ in 0..ROUNDS {
            let lease = soon("a lease", locker.acquire("report")).await;
            let lease = lease.expect("a lease");
            lease.release().await.expect("a release");
        }
        sent_in_all(&members, &before, 2 * ROUNDS).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_are_ahead_cost_one_write_back() {
    let servers = servers(3);
    let locker = ready(&servers, "first").await;
    let earlier = locker.acquire("report").await.expect("a lease");
    let ahead = earlier.fence().as_i64() + 3_600_000_000;
    earlier.release().await.expect("a release");
    eventually("no member has it", async || {
        holders(&servers, "report").await == 0
    })
    .await;
    for server in &servers[..2] {
        let ahead = ahead.to_string();
        server
            .command(&["HSET", "leasehold:fence", "last", &ahead])
            .expect("HSET");
    }
    let members: Vec<&RedisServer> = servers.iter().collect();
    let mut before: Vec<u64> = members.iter().map(|server| scripts(server)).collect();
    let mut last = ahead;
    // The first grant is written back, the second is proposed beyond it.
    for sent in [3, 2] {
        let lease = locker.acquire("report").await.expect("a lease");
        assert!(lease.fence().as_i64() > last);
        last = lease.fence().as_i64();
        lease.release().await.expect("a release");
        sent_in_all(&members, &before, sent).await;
        before = before.iter().map(|before| before + sent).collect();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fences_increase_over_members_whose_clocks_differ() {
    let servers: Vec<RedisServer> = [-1_000, 0, 1_000]
        .into_iter()
        .map(|offset| {
            let server = RedisServer::builder().clock_shim(true).start();
            let server = server.expect("redis-server");
            server.set_clock_offset(offset).expect("a clock");
            server
        })
        .collect();
    let lockers = [
        Arc::new(ready(&servers, "first").await),
        Arc::new(ready(&servers, "second").await),
    ];
    let mut last = None;
    for round in 0..12 {
        // Another majority each time.
        let away = &servers[round % 3];
        away.pause().expect("SIGSTOP");
        let locker = &lockers[round % 2];
        let lease = soon("a lease", locker.acquire("report")).await;
        let lease = lease.expect("a lease");
        assert!(Some(lease.fence()) > last, "round {round}");
        last = Some(lease.fence());
        lease.release().await.expect("a release");
        away.resume().expect("SIGCONT");
        eventually("it serves again", async || away.is_serving()).await;
    }
}
