//! What threads do to the queue, the lease scheduler and the cleanup worker at once.

use std::panic::catch_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::RandomScheduler;
use shuttle::thread::{self, JoinHandle, yield_now};
use shuttle::{Config, Runner};
use tokio::runtime::{Builder, Runtime};

use super::shuttled::cleanup::{AtEnd, CleanupWorker};
use super::shuttled::scheduler::LeaseScheduler;
use super::shuttled::wait_queue::Waiting;
use super::{Seed, seeds};
use crate::MemoryStore;
use crate::backend::Backend;
use crate::backend::memory::Memory;
use crate::backend::ops::{DataSet, Request};
use crate::error::LostReason;
use crate::fence::Fence;
use crate::lifecycle::lease_state::{Grant, LeaseState};
use crate::lifecycle::stop::{StopReason, StopSignal};
use crate::options::AcquireOptions;
use crate::protocol::keys::Keys;
use crate::resource::Resource;
use crate::token::Token;

const WAIT_KEY: &str = "- report";

fn under(seed: u64, races: impl Fn() + Send + Sync + 'static) {
    let _named = Seed(seed);
    Runner::new(RandomScheduler::new_from_seed(seed, 1), Config::new()).run(races);
}

fn all(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        thread.join().expect("a thread");
    }
}

/// Three wait for the same; how their queue is left behind.
fn leave_at_once(counts_references: bool) {
    let mut waiting = Waiting::default();
    waiting.counts_references = counts_references;
    let waiting = Arc::new(waiting);
    let places = [(); 3].map(|()| waiting.enter(&WAIT_KEY.into()));
    all(places.map(|place| thread::spawn(move || drop(place))));
    assert!(waiting.is_empty(), "a queue was left behind");
}

#[test]
fn those_who_leave_at_once_leave_no_queue_behind() {
    seeds().for_each(|seed| under(seed, || leave_at_once(false)));
}

#[test]
fn waiters_that_are_counted_by_references_are_found_out() {
    let is_found = |seed| catch_unwind(|| under(seed, || leave_at_once(true))).is_err();
    let found = (0..200).find(|seed| is_found(*seed));
    eprintln!("found by seed {found:?}");
    assert!(found.is_some());
}

#[test]
fn everyone_who_stays_gets_a_turn_and_nobody_at_the_same_time() {
    seeds().for_each(|seed| {
        under(seed, || {
            let waiting = Arc::new(Waiting::default());
            let heads = Arc::new(AtomicUsize::new(0));
            let waits = [(); 4].map(|()| (waiting.clone(), heads.clone()));
            all(waits.map(|(waiting, heads)| {
                thread::spawn(move || {
                    let mut place = waiting.enter(&WAIT_KEY.into());
                    // One that is cancelled while it waits, or just as its turn comes.
                    if thread_rng().r#gen() {
                        let mut head = pin!(place.head());
                        let _ = head.as_mut().now_or_never();
                        yield_now();
                        return;
                    }
                    block_on(place.head());
                    assert_eq!(heads.fetch_add(1, Ordering::SeqCst), 0, "two heads");
                    yield_now();
                    heads.fetch_sub(1, Ordering::SeqCst);
                })
            }));
            assert!(waiting.is_empty());
        });
    });
}

#[test]
fn a_call_that_meets_a_leaving_waiter_is_answered() {
    seeds().for_each(|seed| {
        under(seed, || {
            let waiting = Arc::new(Waiting::default());
            let place = waiting.enter(&WAIT_KEY.into());
            place.set_has_place(true);
            let (called, entered) = (waiting.clone(), waiting.clone());
            all([
                thread::spawn(move || drop(place)),
                thread::spawn(move || called.called(WAIT_KEY)),
                thread::spawn(move || drop(entered.enter(&WAIT_KEY.into()))),
            ]);
            assert!(waiting.is_empty());
            assert!(
                waiting.take_unclaimed().contains(WAIT_KEY),
                "nobody answers"
            );
        });
    });
}

#[test]
fn whoever_gives_places_up_is_told_of_each() {
    seeds().for_each(|seed| {
        under(seed, || {
            let waiting = Arc::new(Waiting::default());
            let callers = [0, 1, 2].map(|number| (number, waiting.clone()));
            let callers = callers.map(|(number, waiting)| {
                thread::spawn(move || waiting.called(&format!("- report{number}")))
            });
            let mut names = 0;
            while names < callers.len() {
                names += block_on(waiting.unclaimed()).len();
            }
            all(callers);
        });
    });
}

/// The tasks of a locker, which exist and do nothing: what they share with threads is what is tried here.
struct Parts {
    runtime: Runtime,
    store: MemoryStore,
    memory: Memory,
    cleanup: CleanupWorker,
    scheduler: Arc<LeaseScheduler>,
    stop: StopSignal,
}

impl Parts {
    fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime");
        let entered = runtime.enter();
        let store = MemoryStore::new();
        let stop = StopSignal::new();
        let backend = Arc::new(Backend::Memory(Memory::new(store.clone())));
        let at_end = AtEnd {
            last_release: None,
            limit: Duration::from_secs(1),
            stop: stop.clone(),
            lose_leases: Box::new(|| {}),
        };
        let cleanup = CleanupWorker::start(backend.clone(), Arc::default(), at_end);
        let scheduler =
            LeaseScheduler::start(backend, cleanup.clone(), store.clock(), stop.clone());
        drop(entered);
        Self {
            runtime,
            memory: Memory::new(store.clone()),
            store,
            cleanup,
            scheduler: Arc::new(scheduler),
            stop,
        }
    }

    /// A lock that the store has granted.
    fn granted(&self) -> Request {
        let resource = Resource::new("report").expect("a name");
        let request = Request {
            keys: Arc::new(Keys::new("", &resource).expect("keys")),
            token: Token::random("owner", None).expect("a token"),
            ttl: Duration::from_secs(30),
            slot: Some(0),
            waits: false,
            is_repeated: false,
            proposal: None,
        };
        self.memory.grant(&request).expect("a grant");
        request
    }

    fn held(&self) -> Arc<LeaseState> {
        let terms = AcquireOptions::new().resolve(&leasehold_config::LockOptions::default());
        let grant = Grant {
            sent_at: self.store.clock().now(),
            fence: Fence::try_from(1).expect("a fence"),
            data_set: DataSet::local(),
        };
        let resource = Resource::new("report").expect("a name");
        let (terms, clock) = (terms.expect("good terms"), self.store.clock());
        let request = self.granted();
        let held = LeaseState::new(resource, request, terms, grant, clock, self.stop.clone());
        Arc::new(held)
    }
}

#[test]
fn a_lease_that_is_granted_while_its_locker_closes_is_lost_and_taken_back() {
    seeds().for_each(|seed| {
        under(seed, || {
            let parts = Parts::start();
            let held = parts.held();
            let (keeping, closing) = (parts.scheduler.clone(), parts.scheduler.clone());
            let (granted, stop) = (held.clone(), parts.stop.clone());
            all([
                thread::spawn(move || keeping.keep(&granted)),
                thread::spawn(move || {
                    stop.stop(StopReason::Closed);
                    closing.lose_all(&LostReason::Closed);
                }),
            ]);
            assert!(held.is_over(), "its holder goes on");
            assert_eq!(parts.scheduler.kept(), 0);
            assert_eq!(parts.cleanup.pending(), 1, "nobody takes it back");
        });
    });
}

#[test]
fn a_lease_that_is_released_while_its_locker_closes_is_not_kept() {
    seeds().for_each(|seed| {
        under(seed, || {
            let parts = Parts::start();
            let held = parts.held();
            parts.scheduler.keep(&held);
            let (forgetting, closing) = (parts.scheduler.clone(), parts.scheduler.clone());
            let released = held.clone();
            all([
                thread::spawn(move || {
                    released.begin_release();
                    forgetting.forget(&released);
                }),
                thread::spawn(move || closing.lose_all(&LostReason::Closed)),
            ]);
            assert!(held.is_over());
            assert_eq!(parts.scheduler.kept(), 0);
        });
    });
}

#[test]
fn what_is_taken_back_while_the_runtime_ends_is_released() {
    seeds().for_each(|seed| {
        under(seed, || {
            let parts = Parts::start();
            let request = parts.granted();
            let (cleanup, runtime) = (parts.cleanup.clone(), parts.runtime);
            all([
                thread::spawn(move || cleanup.take_back(&request, request.ttl)),
                thread::spawn(move || drop(runtime)),
            ]);
            assert_eq!(parts.cleanup.pending(), 0);
            assert_eq!(parts.store.count(), 0, "the lock was left");
        });
    });
}
