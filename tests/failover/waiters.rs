//! Those who wait while the master changes.

use std::sync::Arc;
use std::time::Duration;

use leasehold::{Cause, Error, Locker};
use leasehold_testkit::{Proxy, SentinelCluster};
use leasehold_tests::{Referee, blocking, connect, fail_over, lease, patient, sentinel_env, soon};

/// S21. Waiters of several processes' worth of lockers, through a failover, in strict mode.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_waiters_hold_one_at_a_time_through_a_failover() {
    const LOCKERS: usize = 5;
    const WAITERS_EACH: usize = 10;
    let cluster = SentinelCluster::start().expect("a cluster");
    let proxies: Vec<Proxy> = cluster
        .sentinel_addresses()
        .iter()
        .map(|address| Proxy::start(address).expect("a proxy"))
        .collect();
    let addresses: Vec<String> = proxies.iter().map(Proxy::address).collect();
    let hosts = addresses.join(",");
    let mut lockers: Vec<Locker> = Vec::new();
    for _ in 0..LOCKERS {
        let through = [("REDIS_SENTINEL_HOSTS", hosts.as_str())];
        lockers.push(
            connect(sentinel_env(&cluster), &through)
                .await
                .expect("connect"),
        );
    }

    let first = lease(&lockers[0], "report").await;
    let referee = Arc::new(Referee::default());
    let mut waiters = Vec::new();
    for number in 0..LOCKERS * WAITERS_EACH {
        let (locker, referee) = (lockers[number % LOCKERS].clone(), referee.clone());
        waiters.push(tokio::spawn(async move {
            let held = locker.acquire("report").await.expect("a turn");
            let work = tokio::time::sleep(Duration::from_millis(2));
            referee.watch(&held, work).await;
            held.release().await.ok();
        }));
    }
    let old = blocking(|| cluster.kill_master()).expect("SIGKILL");
    let work = async { blocking(|| cluster.wait_for_new_master(old)).expect("a new master") };
    referee.watch(&first, work).await;
    drop(first);
    for waiter in waiters {
        soon("a turn", waiter).await.expect("a waiter");
    }
    referee.assert_one_at_a_time();
    assert_eq!(referee.grants(), LOCKERS * WAITERS_EACH + 1);
    for proxy in &proxies {
        assert_eq!(
            proxy.connections(),
            LOCKERS,
            "one link per locker, for good"
        );
    }
}

/// A waiter that began before the failover is served after it, within its time.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_carries_on_across_the_failover() {
    let cluster = patient().start().expect("a cluster");
    let relaxed = [("LOCK_SAFETY", "relaxed"), ("LOCK_ACQUIRE_TIMEOUT", "25s")];
    let (holder, waiter) = tokio::join!(
        connect(sentinel_env(&cluster), &relaxed),
        connect(sentinel_env(&cluster), &relaxed),
    );
    let (holder, waiter) = (holder.expect("connect"), waiter.expect("connect"));
    let held = lease(&holder, "report").await;
    let waiting = tokio::spawn(async move { waiter.acquire("report").await });
    let _ = fail_over(&cluster);
    let fence = held.fence();
    held.release().await.expect("a release");
    let next = soon("the turn", waiting).await.expect("the task");
    assert!(fence < next.expect("a lease").fence());
}

/// Whoever runs out of time while there is no master is told what is wrong, not just that it is late.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_whose_time_ends_without_a_master_is_told_why() {
    let cluster = SentinelCluster::builder()
        .replicas(0)
        .start()
        .expect("a cluster");
    let locker = connect(sentinel_env(&cluster), &[("LOCK_ACQUIRE_TIMEOUT", "1s")])
        .await
        .expect("connect");
    blocking(|| cluster.kill_master()).expect("SIGKILL");
    let late = soon("the end", locker.acquire("report")).await;
    let late = late.expect_err("nobody serves");
    assert!(matches!(late, Error::TimedOut { .. }), "{late:?}");
    let unavailable = late.unavailable().expect("the failure behind it");
    assert_eq!(unavailable.cause(), &Cause::Refused, "{late:?}");
    let node = unavailable.node().expect("the master");
    assert!(
        node.to_string().contains(&cluster.node(0).address()),
        "{node}"
    );
    assert!(late.is_retryable());
}
