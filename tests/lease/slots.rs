//! At most N holders, each with a full lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use leasehold::Error;
use leasehold_testkit::RedisServer;
use leasehold_tests::{connect, soon, standalone_env};

#[tokio::test(flavor = "multi_thread")]
async fn every_free_slot_is_found_and_none_is_given_twice() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    let slots = locker.slots("gpu", 5).expect("slots");
    let mut leases = Vec::new();
    for _ in 0..5 {
        leases.push(slots.try_acquire().await.expect("a free slot"));
    }
    let mut taken: Vec<usize> = leases.iter().map(leasehold::Lease::slot).collect();
    taken.sort_unstable();
    assert_eq!(taken, [0, 1, 2, 3, 4]);
    let mut fences: Vec<_> = leases.iter().map(leasehold::Lease::fence).collect();
    fences.dedup();
    assert!(fences.is_sorted() && fences.len() == 5, "{fences:?}");
    assert!(matches!(slots.try_acquire().await, Err(Error::Held(_))));

    let slot = leases[2].slot();
    leases.remove(2).release().await.expect("a release");
    assert_eq!(
        slots.try_acquire().await.expect("the freed slot").slot(),
        slot
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_client_in_the_same_layout_counts() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    redis
        .command(&["SET", "gpu:0", "python", "PX", "60000"])
        .expect("SET");
    let slots = locker.slots("gpu", 2).expect("slots");
    let lease = slots.try_acquire().await.expect("the other slot");
    assert_eq!(lease.slot(), 1);
    assert!(slots.try_acquire().await.is_err());

    let waiting = tokio::spawn({
        let slots = slots.clone();
        async move { slots.acquire().await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    redis.command(&["DEL", "gpu:0"]).expect("DEL");
    let lease = soon("the freed slot", waiting)
        .await
        .expect("the task")
        .expect("a lease");
    assert_eq!(lease.slot(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_never_more_holders_than_slots() {
    let redis = RedisServer::start().expect("redis-server");
    let holders = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let mut workers = Vec::new();
    for _ in 0..8 {
        let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
        let (holders, most) = (holders.clone(), most.clone());
        workers.push(tokio::spawn(async move {
            let slots = locker.slots("gpu", 3).expect("slots");
            for _ in 0..40 {
                let lease = slots.acquire().await.expect("a lease");
                most.fetch_max(holders.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(1)).await;
                holders.fetch_sub(1, Ordering::SeqCst);
                lease.release().await.expect("a release");
            }
        }));
    }
    for worker in workers {
        soon("all turns", worker).await.expect("the task");
    }
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

/// A rolling deployment changes the limit of one worker after the other, up and down.
#[tokio::test(flavor = "multi_thread")]
async fn the_limit_rolls_up_and_down_under_load() {
    const LIMITS: [usize; 6] = [2, 5, 1, 4, 1, 3];
    const TURNS: usize = 15;
    let redis = RedisServer::start().expect("redis-server");
    let taken: Arc<[AtomicBool; 5]> = Arc::default();
    let mut workers = Vec::new();
    for number in 0..8 {
        let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
        let taken = taken.clone();
        workers.push(tokio::spawn(async move {
            for limit in LIMITS {
                let slots = locker.slots("gpu", limit).expect("slots");
                // The workers change over one after the other.
                for _ in 0..TURNS + number {
                    let lease = slots.acquire().await.expect("a lease");
                    let slot = lease.slot();
                    assert!(slot < limit, "slot {slot} of {limit}");
                    let was_taken = taken[slot].swap(true, Ordering::SeqCst);
                    assert!(!was_taken, "two holders of slot {slot}");
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    taken[slot].store(false, Ordering::SeqCst);
                    lease.release().await.expect("a release");
                }
            }
        }));
    }
    // Nobody waits for a slot beyond its limit, nor behind somebody who cannot use what is free.
    for worker in workers {
        soon("all turns", worker).await.expect("the task");
    }
    assert!(
        taken.iter().all(|taken| !taken.load(Ordering::SeqCst)),
        "{taken:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_slots_has_bounds() {
    let redis = RedisServer::start().expect("redis-server");
    let locker = connect(standalone_env(&redis), &[]).await.expect("connect");
    for limit in [0, 1_001] {
        let error = locker.slots("gpu", limit).expect_err("out of bounds");
        assert_eq!(
            error.to_string(),
            format!("{limit} slots cannot be given out; choose 1 to 1000")
        );
    }
}
