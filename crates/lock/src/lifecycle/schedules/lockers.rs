//! Whole lockers with paused time, over networks that delay, lose and answer late.
//!
//! Three lockers share one store. Actors acquire, wait, cancel at some await, renew, release and drop; one locker may be
//! closed in the middle. What must hold: no more valid leases than the resource allows, fences that grow, nobody
//! who waits for ever, and nothing left behind in the process or in the store.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use fastrand::Rng;
use leasehold_config::{LockOptions, Renewal};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::{Seed, seeds};
use crate::backend::memory::Memory;
use crate::backend::memory::network::Network;
use crate::request::Acquire;
use crate::{AcquireOptions, Error, Fence, Lease, LeaseWatch, Locker, MemoryStore};

const LOCKERS: usize = 3;
const ACTORS: usize = 7;
const ROUNDS: usize = 4;
const TTL: Duration = Duration::from_secs(1);
/// Longer than everything that the actors do: an actor that is not done by then hangs.
const PATIENCE: Duration = Duration::from_secs(600);

#[test]
fn whole_lockers_keep_what_they_promise() {
    for seed in seeds() {
        let _named = Seed(seed);
        run(seed);
    }
}

/// The order of tasks and timers follows from the seed. Only with `--cfg tokio_unstable`, as `cargo xtask schedules` builds, does
/// the choice among branches that are ready at the same time follow from it too.
#[cfg(tokio_unstable)]
#[test]
fn a_seed_gives_the_same_schedule_again() {
    for seed in seeds().take(50) {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

/// Runs one schedule and returns what happened.
fn run(seed: u64) -> Vec<String> {
    fastrand::seed(seed);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    #[cfg(tokio_unstable)]
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes()));
    let runtime = builder.build().expect("a runtime");
    runtime.block_on(play(seed))
}

async fn play(seed: u64) -> Vec<String> {
    let mut rng = Rng::with_seed(seed);
    let store = MemoryStore::new();
    let witness = Arc::new(Witness {
        began: Instant::now(),
        seen: Mutex::default(),
    });
    let (networks, lockers): (Vec<_>, Vec<_>) = (0..LOCKERS)
        .map(|_| {
            let network = Arc::new(Network::new(rng.u64(..)));
            let memory = Memory::behind(store.clone(), network.clone());
            (network, Locker::over(memory, store.clock(), options()))
        })
        .unzip();
    let mut tasks = JoinSet::new();
    for number in 0..ACTORS {
        let actor = Actor {
            name: number,
            rng: Rng::with_seed(rng.u64(..)),
            locker: lockers[number % LOCKERS].clone(),
            witness: witness.clone(),
        };
        tasks.spawn(actor.play());
    }
    tasks.spawn(outages(store.clone(), Rng::with_seed(rng.u64(..))));
    tasks.spawn(hints(lockers.clone(), Rng::with_seed(rng.u64(..))));
    if rng.u32(..4) == 0 {
        tasks.spawn(close_early(lockers[0].clone(), rng.u64(..1_500)));
    }
    let looking = tokio::spawn(look(witness.clone()));
    let played = timeout(PATIENCE, async {
        while let Some(ended) = tasks.join_next().await {
            ended.expect("a task that does not panic");
        }
    });
    assert!(played.await.is_ok(), "somebody waits for ever");
    looking.abort();
    store.set_down(false);
    networks.iter().for_each(|network| network.calm());
    for locker in &lockers {
        let closed = locker.clone().close(PATIENCE).await;
        closed.expect("everything is taken back");
        let core = locker.core();
        assert!(core.waiting.is_empty(), "a queue is left");
        assert_eq!(core.scheduler.kept(), 0, "leases are kept");
        assert_eq!(core.cleanup.pending(), 0, "something is to be taken back");
    }
    // A grant may arrive when it is not taken back any more, which is done for a TTL. It is left to its expiry.
    if networks.iter().any(|network| network.slowest() > TTL / 2) {
        sleep(TTL).await;
    }
    assert_eq!(store.count(), 0, "locks are left");
    witness.told()
}

fn options() -> LockOptions {
    let mut options = LockOptions::default();
    options.ttl = TTL;
    options.max_ttl = TTL;
    options.renewal = Renewal::Every(TTL / 3);
    options.retry_interval = Duration::from_millis(250);
    options.owner = "actor".to_owned();
    options
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// What is granted, and to whom.
struct Witness {
    began: Instant,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    granted: HashMap<(String, usize), Vec<(usize, LeaseWatch)>>,
    fences: HashMap<String, Fence>,
    events: Vec<String>,
}

impl Witness {
    fn granted(&self, actor: usize, limit: usize, lease: &Lease) {
        let mut seen = self.seen.lock().expect("what was seen");
        let name = lease.resource().as_str().to_owned();
        if limit == 1
            && let Some(before) = seen.fences.insert(name.clone(), lease.fence())
        {
            let fence = lease.fence();
            assert!(before < fence, "fence {fence} of {name} after {before}");
        }
        let granted = seen.granted.entry((name, limit)).or_default();
        granted.push((actor, lease.watch()));
        drop(seen);
        self.check();
    }

    fn check(&self) {
        let mut seen = self.seen.lock().expect("what was seen");
        for ((name, limit), granted) in &mut seen.granted {
            granted.retain(|(_, watch)| watch.is_valid());
            let holders: Vec<usize> = granted.iter().map(|(actor, _)| *actor).collect();
            assert!(granted.len() <= *limit, "{name} is held by {holders:?}");
        }
    }

    fn tell(&self, event: String) {
        self.seen.lock().expect("what was seen").events.push(event);
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().expect("what was seen").events)
    }
}

async fn look(witness: Arc<Witness>) {
    loop {
        sleep(ms(5)).await;
        witness.check();
    }
}

/// The store refuses everything now and then.
async fn outages(store: MemoryStore, mut rng: Rng) {
    for _ in 0..2 {
        sleep(ms(rng.u64(..2_000))).await;
        store.set_down(true);
        sleep(ms(rng.u64(..1_500))).await;
        store.set_down(false);
    }
}

/// Hints as Redis gives them, at any time.
async fn hints(lockers: Vec<Locker>, mut rng: Rng) {
    for _ in 0..40 {
        sleep(ms(rng.u64(..80))).await;
        let waiting = &lockers[rng.usize(..LOCKERS)].core().waiting;
        let key = ["- a", "- b", "2 c"][rng.usize(..3)];
        match rng.u32(..3) {
            0 => waiting.freed(key),
            1 => waiting.soon(key),
            _ => waiting.called(key),
        }
    }
}

async fn close_early(locker: Locker, after: u64) {
    sleep(ms(after)).await;
    // It may take longer while nothing gets through; it is closed again at the end.
    let _ = locker.close(ms(100)).await;
}

struct Actor {
    name: usize,
    rng: Rng,
    locker: Locker,
    witness: Arc<Witness>,
}

impl Actor {
    async fn play(mut self) {
        for _ in 0..ROUNDS {
            sleep(ms(self.rng.u64(..150))).await;
            let limit = if self.rng.u32(..4) == 0 { 2 } else { 1 };
            let Some(acquired) = self.acquire(limit).await else {
                self.tell("cancelled");
                continue;
            };
            match acquired {
                Ok(lease) => {
                    self.tell(&format!(
                        "granted {} {}",
                        lease.resource().as_str(),
                        lease.fence()
                    ));
                    self.witness.granted(self.name, limit, &lease);
                    self.hold(&lease).await;
                    self.end(lease).await;
                }
                Err(
                    error @ (Error::TimedOut { .. }
                    | Error::Held(_)
                    | Error::Unavailable(_)
                    | Error::Ambiguous { .. }
                    | Error::Closed),
                ) => self.tell(&format!("{error}")),
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    fn tell(&self, what: &str) {
        let name = self.name;
        let since = self.witness.began.elapsed();
        self.witness.tell(format!("{since:?} {name}: {what}"));
    }

    /// `None` if it was cancelled.
    async fn acquire(&mut self, limit: usize) -> Option<Result<Lease, Error>> {
        let name = if self.rng.bool() { "a" } else { "b" };
        let within = ms(self.rng.u64(1..3_000));
        let (is_try, has_limit) = (self.rng.u32(..5) == 0, self.rng.bool());
        let acquiring: Acquire = match (limit, is_try) {
            (2, _) => self.locker.slots("c", 2).expect("slots").acquire(),
            (_, true) => self.locker.try_acquire(name),
            (_, false) => self.locker.acquire(name),
        };
        let renewal = match self.rng.u32(..4) {
            0 => Renewal::Off,
            _ => Renewal::Every(TTL / 3),
        };
        let options = AcquireOptions::new().renewal(renewal);
        let acquiring = match has_limit && !is_try {
            true => acquiring.options(&options).timeout(within),
            false => acquiring.options(&options),
        };
        let began = Instant::now();
        let acquired = match self.rng.u32(..4) {
            0 => CutOff::after(self.rng.u32(1..12), acquiring.into_future()).await,
            1 => timeout(within / 2, acquiring.into_future()).await.ok(),
            _ => Some(acquiring.await),
        };
        let took = began.elapsed();
        let is_late = has_limit && !is_try && took > within + ms(1);
        assert!(!is_late, "it took {took:?} instead of {within:?}");
        acquired
    }

    async fn hold(&mut self, lease: &Lease) {
        let held_for = ms(self.rng.u64(..1_800));
        let is_renewed = self.rng.u32(..4) == 0;
        if is_renewed {
            let polls = self.rng.u32(1..4);
            CutOff::after(polls, Box::pin(lease.renew())).await;
        }
        tokio::select! {
            biased;
            reason = lease.lost() => {
                self.tell(&format!("lost: {reason}"));
                assert!(!lease.is_valid(), "lost and valid");
            }
            () = sleep(held_for) => {}
        }
        if lease.is_valid() {
            return;
        }
        // Its holder has been told by now.
        let told = timeout(ms(2), lease.lost()).await;
        assert!(told.is_ok(), "its end was not told");
    }

    async fn end(&mut self, lease: Lease) {
        match self.rng.u32(..4) {
            0 => drop(lease),
            1 => {
                let polls = self.rng.u32(1..4);
                CutOff::after(polls, Box::pin(lease.release())).await;
            }
            _ => {
                let released = lease.release().await;
                self.tell(&format!("{released:?}"));
            }
        }
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Drops a future at its `polls`-th await.
struct CutOff<'a, T> {
    future: Option<Boxed<'a, T>>,
    polls: u32,
}

impl<'a, T> CutOff<'a, T> {
    fn after(polls: u32, future: Boxed<'a, T>) -> Self {
        Self {
            future: Some(future),
            polls,
        }
    }
}

impl<T> Future for CutOff<'_, T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.polls = self.polls.saturating_sub(1);
        let is_over = self.polls == 0;
        let Some(future) = &mut self.future else {
            return Poll::Ready(None);
        };
        match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if is_over => {
                self.future = None;
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }
}
