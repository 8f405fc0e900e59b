//! What a holder sees of its lease.

use futures_util::FutureExt;

use super::*;
use crate::{AcquireOptions, Locker, MemoryStore, config::Renewal};

#[tokio::test]
async fn a_late_look_still_finds_when_the_lease_ended() {
    let locker = Locker::in_memory(&MemoryStore::new());
    let ttl = Duration::from_millis(150);
    let options = AcquireOptions::new().ttl(ttl).renewal(Renewal::Off);
    let lease = locker.acquire("report").options(&options).await;
    let lease = lease.expect("a lease");
    let granted = Instant::now();
    assert!(lease.deadline() > granted && lease.deadline() < granted + ttl);
    tokio::time::sleep(3 * ttl).await;
    assert!(!lease.is_valid());
    assert!(lease.deadline() > granted && lease.deadline() < granted + ttl);
}

#[tokio::test]
async fn a_holder_that_wakes_up_after_its_deadline_does_nothing_more() {
    let locker = Locker::in_memory(&MemoryStore::new());
    let ttl = Duration::from_millis(150);
    let options = AcquireOptions::new().ttl(ttl).renewal(Renewal::Off);
    let lease = locker.acquire("report").options(&options).await;
    let lease = lease.expect("a lease");
    // The whole process stands still, its timers too, so that nothing has been told yet.
    std::thread::sleep(2 * ttl);
    assert!(!lease.held.is_over());
    let mut has_acted = false;
    let outcome = lease.guard(async { has_acted = true }).now_or_never();
    assert!(
        matches!(outcome, Some(Err(Error::Lost { .. }))),
        "{outcome:?}"
    );
    assert!(!has_acted);
}

const TTL: Duration = Duration::from_secs(10);

async fn leased(locker: &Locker, resource: &str, renewal: Renewal) -> Lease {
    let request = locker.acquire(resource).ttl(TTL).renewal(renewal);
    request.await.expect("a lease")
}

#[tokio::test(start_paused = true)]
async fn a_lease_tells_what_it_is() {
    let locker = Locker::in_memory(&MemoryStore::new());
    let lease = leased(&locker, "report", Renewal::Off).await;
    assert_eq!(lease.resource().as_str(), "report");
    assert_eq!((lease.ttl(), lease.slot()), (TTL, 0));
    assert_eq!(lease.remaining(), crate::clock::validity(TTL));
    assert_eq!(lease.watch().remaining(), lease.remaining());
    assert_eq!(lease.token(), lease.ticket().token);
    for shown in [format!("{lease:?}"), format!("{:?}", lease.watch())] {
        assert!(
            shown.contains("report") && !shown.contains(lease.token()),
            "{shown}"
        );
    }
    let slots = locker.slots("gpu", 2).expect("two slots");
    let (first, second) = (slots.acquire().await, slots.acquire().await);
    let mut numbers = [
        first.expect("a slot").slot(),
        second.expect("another").slot(),
    ];
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_not_renewed_is_lost_at_its_deadline() {
    let locker = Locker::in_memory(&MemoryStore::new());
    let began = tokio::time::Instant::now();
    let lease = leased(&locker, "report", Renewal::Off).await;
    let watch = lease.watch();
    assert!(lease.is_valid() && watch.is_valid() && lease.check().is_ok());
    let (reason, told) = tokio::join!(lease.lost(), watch.lost());
    let expired = LostReason::Expired { because: None };
    assert_eq!((&reason, &told), (&expired, &expired));
    let late = began.elapsed().saturating_sub(crate::clock::validity(TTL));
    assert!(late < Duration::from_millis(3), "{late:?}");
    assert!(!lease.is_valid() && !watch.is_valid() && watch.remaining().is_zero());
    assert!(matches!(lease.check(), Err(Error::Lost { .. })));
    assert!(matches!(lease.renew().await, Err(Error::Lost { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_by_hand_prolongs_or_tells_of_the_loss() {
    let store = MemoryStore::new();
    let locker = Locker::in_memory(&store);
    let lease = leased(&locker, "report", Renewal::Off).await;
    tokio::time::sleep(TTL / 2).await;
    lease.renew().await.expect("the key is there");
    assert_eq!(lease.remaining(), crate::clock::validity(TTL));
    store.delete("report");
    let lost = lease.renew().await;
    let reason = LostReason::Deleted;
    assert!(matches!(lost, Err(Error::Lost { reason: why, .. }) if why == reason));
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_is_released_and_what_is_handed_over_is_not() {
    let store = MemoryStore::new();
    let locker = Locker::in_memory(&store);
    let core = locker.core();
    drop(leased(&locker, "report", Renewal::Every(TTL)).await);
    assert_eq!(core.scheduler.kept(), 0);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!((store.count(), core.cleanup.pending()), (0, 0));
    let lease = leased(&locker, "report", Renewal::Every(TTL)).await;
    let watch = lease.watch();
    let _ticket = lease.into_ticket();
    assert!(!watch.is_valid());
    assert_eq!((core.scheduler.kept(), core.cleanup.pending()), (0, 0));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(store.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_release_says_how_the_lease_ended() {
    let store = MemoryStore::new();
    let locker = Locker::in_memory(&store);
    let lease = leased(&locker, "report", Renewal::Off).await;
    assert_eq!(
        lease.release().await.expect("an answer"),
        Released::Released
    );
    let lease = leased(&locker, "report", Renewal::Off).await;
    store.delete("report");
    assert_eq!(lease.release().await.expect("an answer"), Released::Expired);
    let lease = leased(&locker, "report", Renewal::Off).await;
    store.steal("report", "another", TTL);
    let by = "another".to_owned();
    let outcome = lease.release().await.expect("an answer");
    assert_eq!(outcome, Released::HeldByAnother { by });
    assert_eq!(locker.core().cleanup.pending(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_closed_locker_took_back_is_not_taken_back_again() {
    let store = MemoryStore::new();
    let locker = Locker::in_memory(&store);
    let core = locker.core();
    let lease = leased(&locker, "report", Renewal::Off).await;
    locker
        .clone()
        .close(TTL)
        .await
        .expect("everything is taken back");
    assert_eq!(store.count(), 0);
    let lost = lease.check();
    assert!(matches!(
        lost,
        Err(Error::Lost {
            reason: LostReason::Closed,
            ..
        })
    ));
    drop(lease);
    assert_eq!(core.cleanup.pending(), 0);
    assert!(matches!(core.stop.check(), Err(Error::Closed)));
}
