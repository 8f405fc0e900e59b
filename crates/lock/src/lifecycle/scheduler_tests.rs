//! Tests of the lease scheduler and the cleanup worker: with paused time, over a store in memory.

use std::sync::Arc;
use std::time::Duration;

use leasehold_config::{LockOptions, Renewal};
use tokio::time::{Instant, sleep};

use crate::backend::memory::Memory;
use crate::clock::{Clock, validity};
use crate::error::{Error, LostReason};
use crate::{Lease, Locker, MemoryStore};

const TTL: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

async fn leased(locker: &Locker, resource: &str, ttl: Duration, renewal: Renewal) -> Lease {
    let request = locker.acquire(resource).ttl(ttl).renewal(renewal);
    request.await.expect("a lease")
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_for_as_long_as_it_is_held() {
    let store = MemoryStore::new();
    let locker = Locker::in_memory(&store);
    let lease = leased(&locker, "report", TTL, Renewal::Every(TTL / 3)).await;
    for _ in 0..20 {
        sleep(TTL / 3).await;
        assert!(lease.remaining() > TTL / 2, "{:?}", lease.remaining());
    }
    assert_eq!((store.count(), locker.core().scheduler.kept()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_lease_survives_an_outage_that_is_shorter() {
    let store = MemoryStore::new();
    let locker = Locker::in_memory(&store);
    let lease = leased(&locker, "report", TTL, Renewal::Every(TTL / 3)).await;
    sleep(TTL / 3 - SECOND).await;
    store.set_down(true);
    sleep(TTL / 2).await;
    store.set_down(false);
    // The next attempt comes within 1.5 s.
    sleep(2 * SECOND).await;
    assert!(
        lease.remaining() > TTL - 3 * SECOND,
        "{:?}",
        lease.remaining()
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_renewed_is_lost_at_its_deadline() {
    let store = MemoryStore::new();
    let locker = Locker::in_memory(&store);
    let began = Instant::now();
    let lease = leased(&locker, "report", TTL, Renewal::Every(TTL / 3)).await;
    store.set_down(true);
    let reason = lease.lost().await;
    let late = began.elapsed().saturating_sub(validity(TTL));
    assert!(
        began.elapsed() >= validity(TTL) && late < Duration::from_millis(3),
        "{late:?}"
    );
    assert!(
        matches!(reason, LostReason::Expired { because: Some(_) }),
        "{reason:?}"
    );
    assert_eq!(locker.core().scheduler.kept(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_short_lease_beside_a_long_one_is_lost_in_time() {
    let locker = Locker::in_memory(&MemoryStore::new());
    let long = leased(&locker, "long", TTL, Renewal::Off).await;
    sleep(SECOND / 10).await;
    let began = Instant::now();
    let short = leased(&locker, "short", SECOND / 5, Renewal::Off).await;
    short.lost().await;
    let late = began.elapsed().saturating_sub(validity(SECOND / 5));
    assert!(late < Duration::from_millis(3), "{late:?}");
    assert!(long.is_valid());
}

/// The clock goes on while the timers stand still, as while a machine sleeps.
#[tokio::test(start_paused = true)]
async fn what_expired_while_the_machine_slept_is_lost_as_soon_as_it_wakes() {
    let store = MemoryStore::new();
    let memory = Memory::new(store.clone());
    let locker = Locker::over(memory, Clock::System, LockOptions::default());
    let slept = leased(&locker, "slept", SECOND / 5, Renewal::Off).await;
    tokio::task::yield_now().await;
    std::thread::sleep(SECOND / 2);
    let woken = Instant::now();
    // Its deadline comes before the other's timer, so the lease scheduler wakes for it.
    let _other = leased(&locker, "other", SECOND / 10, Renewal::Off).await;
    let lost = tokio::time::timeout(SECOND / 20, slept.lost()).await;
    assert!(lost.is_ok() && woken.elapsed().is_zero(), "{lost:?}");
}

#[test]
fn leases_that_outlive_their_runtime_are_lost_and_released() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.expect("a runtime");
    let (store, lease) = runtime.block_on(async {
        let store = MemoryStore::new();
        let locker = Locker::in_memory(&store);
        let lease = leased(&locker, "report", TTL, Renewal::Every(TTL / 3)).await;
        (store, lease)
    });
    assert!(lease.is_valid() && store.count() == 1);
    drop(runtime);
    let reason = LostReason::RuntimeEnded;
    assert!(matches!(lease.check(), Err(Error::Lost { reason: why, .. }) if why == reason));
    assert_eq!(store.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_released_is_released_when_redis_is_back() {
    let store = MemoryStore::new();
    let locker = Locker::in_memory(&store);
    let core = locker.core();
    let lease = leased(&locker, "report", TTL, Renewal::Off).await;
    store.set_down(true);
    drop(lease);
    sleep(TTL / 3).await;
    assert_eq!((store.count(), core.cleanup.pending()), (1, 1));
    store.set_down(false);
    sleep(SECOND).await;
    assert_eq!((store.count(), core.cleanup.pending()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_has_expired_is_released_no_more() {
    let store = MemoryStore::new();
    let locker = Locker::in_memory(&store);
    let core = locker.core();
    let lease = leased(&locker, "report", TTL, Renewal::Off).await;
    store.set_down(true);
    drop(lease);
    sleep(TTL + 2 * SECOND).await;
    assert_eq!(core.cleanup.pending(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_cleanup_worker_ends_with_the_last_handle() {
    let locker = Locker::in_memory(&MemoryStore::new());
    let backend = Arc::downgrade(&locker.core().backend);
    drop(locker);
    sleep(SECOND).await;
    assert!(backend.upgrade().is_none());
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_at_its_limit() {
    let store = MemoryStore::new();
    let (ours, theirs) = (Locker::in_memory(&store), Locker::in_memory(&store));
    let _lease = leased(&theirs, "report", TTL, Renewal::Every(TTL / 3)).await;
    let began = Instant::now();
    let waited = ours.acquire("report").timeout(7 * SECOND).await;
    assert!(matches!(waited, Err(Error::TimedOut { .. })), "{waited:?}");
    let late = began.elapsed().saturating_sub(7 * SECOND);
    assert!(
        began.elapsed() >= 7 * SECOND && late < Duration::from_millis(3),
        "{late:?}"
    );
}
