//! Waiting, with an attempt that records what the server would see.

use std::sync::{Arc, Mutex, PoisonError};

use leasehold::{Locker, MemoryStore};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::*;

const LONG: Duration = Duration::from_secs(20);
const HEARTBEAT: Option<Duration> = Some(Duration::from_millis(60));

#[derive(Default)]
struct Recorder {
    records: Mutex<Vec<RawValue>>,
    recorded: Notify,
    cancel: Notify,
    earlier: Vec<Payload>,
}

impl Attempt for Recorder {
    async fn cancelled(&self) {
        self.cancel.notified().await;
    }

    async fn record(&self, details: RawValue) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.push(details);
        self.recorded.notify_one();
    }

    fn earlier_details(&self) -> &[Payload] {
        &self.earlier
    }
}

impl Recorder {
    fn last(&self) -> Option<Vec<Payload>> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.last().map(|details| details.payloads.clone())
    }
}

fn lock(store: &MemoryStore) -> Lock {
    let line = Arc::default();
    Lock::new(&Locker::in_memory(store), &line, "warehouse", Some(1)).expect("a lock")
}

async fn held(store: &MemoryStore) -> Lease {
    let terms = Terms {
        owner: Some("import-1/run".to_owned()),
        ..Terms::default()
    };
    lock(store).acquire(&terms).await.expect("a lease")
}

#[tokio::test]
async fn the_server_hears_who_is_waited_for_and_the_message_goes_with_the_wait() {
    let store = MemoryStore::new();
    let holder = held(&store).await;
    let (lock, attempt) = (lock(&store), Recorder::default());
    let terms = Terms::default();
    let waiting = lease(&lock, &terms, HEARTBEAT, &attempt);
    let releasing = async {
        attempt.recorded.notified().await;
        let payloads = attempt.last().expect("a heartbeat");
        let message = String::from_utf8_lossy(&payloads[0].data).into_owned();
        assert!(
            message.starts_with("\"waiting for the lock `warehouse`, held by import-1/run"),
            "{message}"
        );
        holder.release().await.expect("a release");
    };
    let both = async { tokio::join!(waiting, releasing).0 };
    let lease = timeout(LONG, both)
        .await
        .expect("in time")
        .expect("a lease");
    assert_eq!(attempt.last(), Some(Vec::new()));
    drop(lease);
}

#[tokio::test]
async fn the_server_hears_how_many_of_the_same_worker_are_before() {
    let store = MemoryStore::new();
    let holder = held(&store).await;
    let lock = lock(&store);
    let (first, second) = (Recorder::default(), Recorder::default());
    let terms = Terms::default();
    let waiting = async {
        let first = lease(&lock, &terms, HEARTBEAT, &first);
        let second = lease(&lock, &terms, HEARTBEAT, &second);
        let _leases = tokio::join!(first, second);
    };
    let reading = async {
        first.recorded.notified().await;
        second.recorded.notified().await;
        [&first, &second].map(|attempt| {
            let payloads = attempt.last().expect("a heartbeat");
            String::from_utf8_lossy(&payloads[0].data).into_owned()
        })
    };
    let both = async {
        tokio::select! {
            () = waiting => panic!("the lock is held"),
            messages = reading => messages,
        }
    };
    let messages = timeout(LONG, both).await.expect("in time");
    // Locks in memory have no queue among processes.
    assert!(
        messages[0].ends_with("held by import-1/run\""),
        "{messages:?}"
    );
    assert!(
        messages[1].ends_with("held by import-1/run, at least 1 before us\""),
        "{messages:?}"
    );
    drop(holder);
}

#[tokio::test]
async fn a_free_lock_costs_no_heartbeat() {
    let store = MemoryStore::new();
    let (lock, attempt) = (lock(&store), Recorder::default());
    let lease = lease(&lock, &Terms::default(), HEARTBEAT, &attempt).await;
    drop(lease.expect("a lease"));
    assert_eq!(attempt.last(), None);
}

#[tokio::test]
async fn progress_of_an_earlier_attempt_outlives_the_wait() {
    let store = MemoryStore::new();
    let holder = held(&store).await;
    let earlier = vec![Payload {
        data: b"5".to_vec(),
        ..Payload::default()
    }];
    let attempt = Recorder {
        earlier: earlier.clone(),
        ..Recorder::default()
    };
    let (lock, terms) = (lock(&store), Terms::default());
    let waiting = lease(&lock, &terms, HEARTBEAT, &attempt);
    let releasing = async {
        attempt.recorded.notified().await;
        holder.release().await.expect("a release");
    };
    let both = async { tokio::join!(waiting, releasing).0 };
    drop(
        timeout(LONG, both)
            .await
            .expect("in time")
            .expect("a lease"),
    );
    assert_eq!(attempt.last(), Some(earlier));
}

#[tokio::test]
async fn a_cancelled_wait_ends_and_gives_its_place_up() {
    let store = MemoryStore::new();
    let holder = held(&store).await;
    let (lock, attempt) = (lock(&store), Recorder::default());
    attempt.cancel.notify_one();
    let ended = timeout(LONG, lease(&lock, &Terms::default(), HEARTBEAT, &attempt)).await;
    assert!(
        matches!(ended, Ok(Err(ActivityError::Cancelled { .. }))),
        "{ended:?}"
    );
    holder.release().await.expect("a release");
    // Nobody is before the next one.
    let terms = Terms::default();
    let next = timeout(LONG, lock.acquire(&terms)).await.expect("in time");
    drop(next.expect("a lease"));
}

#[tokio::test]
async fn a_wait_that_is_over_fails_as_not_leased() {
    let store = MemoryStore::new();
    let _holder = held(&store).await;
    let terms = Terms {
        wait: Some(Duration::from_millis(30)),
        ..Terms::default()
    };
    let attempt = Recorder::default();
    let ended = lease(&lock(&store), &terms, None, &attempt).await;
    let Err(ActivityError::Application(failure)) = ended else {
        panic!("{ended:?}")
    };
    assert_eq!(failure.type_name(), Some(crate::error::NOT_LEASED));
}
