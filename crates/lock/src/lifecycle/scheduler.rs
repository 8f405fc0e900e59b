//! The lease scheduler: one task per locker that renews every lease and fires every deadline.
//!
//! Deadlines need no I/O: a lease whose renewal hangs is reported lost on time all the same.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::cleanup::CleanupWorker;
use super::renew::{self, Renewed};
use super::sync::Mutex;
use crate::backend::Backend;
use crate::clock::{Clock, later};
use crate::error::LostReason;
use crate::lifecycle::lease_state::LeaseState;
use crate::lifecycle::lease_state::Purpose;
use crate::lifecycle::stop::{StopReason, StopSignal};
use crate::master::state::State;

/// Leases that fall due within this time are renewed together.
const TOGETHER: Duration = Duration::from_millis(50);
/// Timers stand still while the machine sleeps, so the clock is looked at as often as this.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(1);
/// A clock that is ahead of the timers by this much shows that the machine slept.
const SLEPT: Duration = Duration::from_millis(200);

/// Renews the leases of one locker; ends with it.
pub(crate) struct LeaseScheduler {
    timers: Arc<TimerQueue>,
    cleanup: CleanupWorker,
    stop: StopSignal,
    _task: AbortOnDropHandle<()>,
}

/// Which lease needs attention when. Every lease that is held has one entry.
#[derive(Default)]
struct TimerQueue {
    entries: Mutex<Entries>,
    changed: Notify,
}

#[derive(Default)]
struct Entries {
    by_time: BTreeMap<(Instant, u64), (Arc<LeaseState>, Scheduled)>,
    times: HashMap<u64, Instant>,
    /// When the lease scheduler looks next without being told; `None` if only when it is told.
    looks_at: Option<Instant>,
    /// Whether something was entered since the lease scheduler looked last.
    is_in_use: bool,
}

/// What to do when a lease falls due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheduled {
    Renew(Purpose),
    Expire,
}

impl LeaseScheduler {
    pub(crate) fn start(
        backend: Arc<Backend>,
        cleanup: CleanupWorker,
        clock: Clock,
        stop: StopSignal,
    ) -> Self {
        let timers = Arc::new(TimerQueue::default());
        let round = Round {
            timers: timers.clone(),
            backend,
            cleanup: cleanup.clone(),
            clock,
            stop: stop.clone(),
        };
        Self {
            timers,
            cleanup,
            stop,
            _task: AbortOnDropHandle::new(tokio::spawn(round.run())),
        }
    }

    /// Keeps a lease from now on.
    pub(crate) fn keep(&self, held: &Arc<LeaseState>) {
        let (at, scheduled) = next_renewal(held);
        self.timers.set(held, at, scheduled);
        // It was granted while the locker stopped: nobody would renew it, nor see it expire.
        if let Some(reason) = self.stop.reason() {
            self.lose_all(&reason.loss());
        }
    }

    /// How many leases are kept.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.timers.entries.lock().times.len()
    }

    /// Stops keeping a lease.
    pub(crate) fn forget(&self, held: &LeaseState) {
        self.timers.remove(held.id);
    }

    /// Ends every lease that is kept, and has it released in the background.
    pub(crate) fn lose_all(&self, reason: &LostReason) {
        let leases = self.timers.lose_all(reason);
        self.cleanup.take_all_back(&leases);
    }
}

/// When to look at a lease next, and what for: its renewal, or its deadline if it has none.
fn next_renewal(held: &LeaseState) -> (Instant, Scheduled) {
    match held.terms.renew_every {
        Some(interval) => {
            let due = later(Instant::now(), interval.saturating_sub(held.age()));
            (due, Scheduled::Renew(Purpose::Prolong))
        }
        None => (deadline(held), Scheduled::Expire),
    }
}

fn deadline(held: &LeaseState) -> Instant {
    later(Instant::now(), held.remaining())
}

impl TimerQueue {
    fn set(&self, held: &Arc<LeaseState>, at: Instant, scheduled: Scheduled) {
        let mut entries = self.entries.lock();
        if let Some(before) = entries.times.insert(held.id, at) {
            entries.by_time.remove(&(before, held.id));
        }
        entries
            .by_time
            .insert((at, held.id), (held.clone(), scheduled));
        // A lease that is given back before the lease scheduler would look again does not wake it at all.
        entries.is_in_use = true;
        if entries.looks_at.is_none_or(|looks_at| at < looks_at) {
            entries.looks_at = Some(at);
            drop(entries);
            self.changed.notify_one();
        }
    }

    /// Moves a lease that is still kept.
    fn reschedule(&self, held: &Arc<LeaseState>, at: Instant, scheduled: Scheduled) {
        let is_kept = self.entries.lock().times.contains_key(&held.id);
        if is_kept && !held.is_over() {
            self.set(held, at, scheduled);
        }
    }

    fn remove(&self, id: u64) {
        let mut entries = self.entries.lock();
        if let Some(at) = entries.times.remove(&id) {
            entries.by_time.remove(&(at, id));
        }
    }

    /// When to look next: at the first scheduled task, and at the clock while there is any. For as long
    /// after the last one, so that short leases one after the other do not each wake the lease scheduler.
    fn plan(&self) -> Option<Instant> {
        let mut entries = self.entries.lock();
        let first = entries.by_time.first_key_value().map(|((at, _), _)| *at);
        let was_in_use = std::mem::take(&mut entries.is_in_use);
        entries.looks_at = (first.is_some() || was_in_use).then(|| {
            let clock = Instant::now() + LOOK_AT_CLOCK;
            first.map_or(clock, |first| first.min(clock))
        });
        entries.looks_at
    }

    /// Takes every lease that is due now or within `together`, if at least one is due now.
    fn take_due(&self, now: Instant, together: Duration) -> Vec<(Arc<LeaseState>, Scheduled)> {
        let mut entries = self.entries.lock();
        if entries
            .by_time
            .first_key_value()
            .is_none_or(|((at, _), _)| *at > now)
        {
            return Vec::new();
        }
        let later = entries.by_time.split_off(&(now + together, u64::MAX));
        let due = std::mem::replace(&mut entries.by_time, later);
        for (_, id) in due.keys() {
            entries.times.remove(id);
        }
        due.into_values().collect()
    }

    fn lose_all(&self, reason: &LostReason) -> Vec<Arc<LeaseState>> {
        let entries = std::mem::take(&mut *self.entries.lock());
        let leases: Vec<Arc<LeaseState>> = entries
            .by_time
            .into_values()
            .map(|(held, _)| held)
            .collect();
        for held in &leases {
            held.lose(reason);
        }
        leases
    }

    fn all(&self) -> Vec<Arc<LeaseState>> {
        self.entries
            .lock()
            .by_time
            .values()
            .map(|(held, _)| held.clone())
            .collect()
    }
}

/// The task's side.
struct Round {
    timers: Arc<TimerQueue>,
    backend: Arc<Backend>,
    cleanup: CleanupWorker,
    clock: Clock,
    stop: StopSignal,
}

/// The task ends with its locker, which then holds nothing, or with the runtime.
impl Drop for Round {
    fn drop(&mut self) {
        if self.stop.is_forked() {
            return;
        }
        self.stop.stop(StopReason::RuntimeEnded);
        let leases = self.timers.lose_all(&LostReason::RuntimeEnded);
        self.cleanup.take_all_back(&leases);
    }
}

impl Round {
    async fn run(self) {
        let mut renewing = FuturesUnordered::new();
        let mut under_way = std::collections::HashSet::new();
        let mut topology = self.backend.topology();
        let mut generation = None;
        let mut looked = (Instant::now(), self.clock.now());
        loop {
            let looks_at = self.timers.plan();
            tokio::select! {
                biased;
                () = until(looks_at) => {}
                () = self.timers.changed.notified() => {}
                Some((held, renewed)) = renewing.next(), if !renewing.is_empty() => {
                    let held: Arc<LeaseState> = held;
                    under_way.remove(&held.id);
                    self.after(&held, &renewed);
                }
                () = new_link(&mut topology, &mut generation) => {
                    // Every lease is verified on the new link at once.
                    for held in self.timers.all() {
                        let purpose = match held.terms.renew_every {
                            Some(_) => Purpose::Prolong,
                            None => Purpose::Verify,
                        };
                        self.timers.reschedule(&held, Instant::now(), Scheduled::Renew(purpose));
                    }
                }
            }
            let (timer, clock) = (Instant::now(), self.clock.now());
            if self.clock.elapsed_since(looked.1) > (timer - looked.0) + SLEPT {
                self.lose_expired();
            }
            looked = (timer, clock);
            for (held, purpose) in self.due() {
                if under_way.insert(held.id) {
                    let (backend, cleanup) = (self.backend.clone(), self.cleanup.clone());
                    let clock = self.clock;
                    renewing.push(async move {
                        let renewed = renew::renew(&backend, &cleanup, clock, &held, purpose).await;
                        (held, renewed)
                    });
                }
            }
        }
    }

    /// Loses what is past its deadline and returns what is to be renewed now, entered again at its
    /// deadline so that it fires even if the renewal hangs.
    fn due(&self) -> Vec<(Arc<LeaseState>, Purpose)> {
        let mut to_renew = Vec::new();
        for (held, scheduled) in self.timers.take_due(Instant::now(), TOGETHER) {
            if held.is_over() {
                continue;
            }
            if held.remaining().is_zero() {
                held.lose(&held.expiry());
                continue;
            }
            self.timers.set(&held, deadline(&held), Scheduled::Expire);
            if let Scheduled::Renew(purpose) = scheduled {
                to_renew.push((held, purpose));
            }
        }
        to_renew
    }

    fn after(&self, held: &Arc<LeaseState>, renewed: &Renewed) {
        match renewed {
            Renewed::Confirmed => {
                let (at, scheduled) = next_renewal(held);
                self.timers.reschedule(held, at, scheduled);
            }
            Renewed::TryAgain(_) => {
                let remaining = held.remaining();
                let pause =
                    (remaining / 8).clamp(Duration::from_millis(20), Duration::from_secs(1));
                let jittered = pause.mul_f64(0.5 + fastrand::f64());
                let at = later(Instant::now(), jittered.min(remaining));
                self.timers.reschedule(held, at, next_renewal(held).1);
            }
            Renewed::Over(_) => self.timers.remove(held.id),
        }
    }

    fn lose_expired(&self) {
        for held in self.timers.all() {
            if held.remaining().is_zero() {
                self.timers.remove(held.id);
                held.lose(&held.expiry());
            }
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Waits for a link that was not seen before.
///
/// Cancel safe.
async fn new_link(topology: &mut Option<watch::Receiver<State>>, generation: &mut Option<u64>) {
    let Some(topology) = topology else {
        return std::future::pending().await;
    };
    loop {
        if let State::Ready(link) = &*topology.borrow_and_update()
            && generation.replace(link.generation) != Some(link.generation)
        {
            return;
        }
        if topology.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}
