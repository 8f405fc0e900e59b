//! What the client makes of requests that were carried out and whose replies were lost, over a store in memory.

use std::sync::Arc;
use std::time::Duration;

use leasehold_config::{LockOptions, Renewal};
use tokio::time::{Instant, sleep, timeout};

use crate::backend::memory::Memory;
use crate::backend::memory::network::Network;
use crate::{Error, Lease, Locker, MemoryStore, Released};

const TTL: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

/// A locker over a network that loses nothing unless it is told to.
fn locker(store: &MemoryStore) -> (Locker, Arc<Network>) {
    let network = Arc::new(Network::new(1));
    network.calm();
    let memory = Memory::behind(store.clone(), network.clone());
    let locker = Locker::over(memory, store.clock(), LockOptions::default());
    (locker, network)
}

async fn leased(locker: &Locker, ttl: Duration) -> Lease {
    let request = locker.acquire("report").ttl(ttl).renewal(Renewal::Off);
    request.await.expect("a lease")
}

#[tokio::test(start_paused = true)]
async fn a_release_whose_reply_was_lost_is_a_release() {
    let store = MemoryStore::new();
    let (locker, network) = locker(&store);
    let lease = leased(&locker, TTL).await;
    network.lose_next_reply();
    let released = lease.release().await.expect("a release");
    assert_eq!(released, Released::Released);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_gone_before_its_release_was_not_released() {
    let store = MemoryStore::new();
    let (locker, _network) = locker(&store);
    let lease = leased(&locker, TTL).await;
    store.set_down(true);
    let releasing = tokio::spawn(lease.release());
    sleep(SECOND).await;
    store.delete("report");
    store.set_down(false);
    // Those that were refused cannot have deleted it.
    let released = releasing.await.expect("no panic").expect("an answer");
    assert_ne!(released, Released::Released);
}

#[tokio::test(start_paused = true)]
async fn a_release_is_not_tried_for_ever() {
    let store = MemoryStore::new();
    let (locker, _network) = locker(&store);
    let lease = leased(&locker, TTL).await;
    store.set_down(true);
    let released = timeout(10 * SECOND, lease.release()).await;
    let released = released.expect("an answer within the patience for one operation");
    assert!(
        matches!(released, Err(Error::Unavailable(_))),
        "{released:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_waiter_whose_grant_was_lost_on_its_way_asks_with_the_same_token() {
    let store = MemoryStore::new();
    let (locker, network) = locker(&store);
    let began = Instant::now();
    network.lose_next_reply();
    let lease = leased(&locker, TTL).await;
    assert!(began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
    assert!(lease.is_valid());
    assert_eq!(store.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_grant_whose_reply_was_lost_is_taken_back() {
    let store = MemoryStore::new();
    let (locker, network) = locker(&store);
    network.lose_next_reply();
    let refused = locker.try_acquire("report").ttl(TTL).await;
    assert!(refused.is_err(), "{refused:?}");
    sleep(SECOND).await;
    assert_eq!((store.count(), locker.core().cleanup.pending()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_adoption_whose_reply_was_lost_is_taken_back() {
    let store = MemoryStore::new();
    let (locker, network) = locker(&store);
    let ticket = leased(&locker, TTL).await.into_ticket();
    network.lose_next_reply();
    let adopted = locker.adopt(&ticket).await;
    assert!(
        matches!(adopted, Err(Error::Ambiguous { .. })),
        "{adopted:?}"
    );
    sleep(SECOND).await;
    assert_eq!(store.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_hangs_leaves_time_for_another_one() {
    let store = MemoryStore::new();
    let (locker, network) = locker(&store);
    let lease = leased(&locker, 9 * SECOND / 10).await;
    let began = Instant::now();
    network.lose_next_reply();
    let renewed = lease.renew().await;
    assert!(
        matches!(renewed, Err(Error::Ambiguous { .. })),
        "{renewed:?}"
    );
    let third = 3 * SECOND / 10;
    assert!(
        began.elapsed() < third + SECOND / 100,
        "{:?}",
        began.elapsed()
    );
}
