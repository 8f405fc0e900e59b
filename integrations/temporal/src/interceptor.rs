//! The lease around an activity.

use std::collections::HashMap;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use leasehold::{AcquireOptions, Error, Fence, Lease, Locker, Slots};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::{ActivityContext, ActivityError, ActivityInfo};

/// A lease need not be shorter than this, however short the activity.
const SHORTEST_TTL: Duration = Duration::from_secs(1);

/// What an activity must hold while it runs.
#[derive(Debug, Clone)]
pub struct NeedsLock {
    max_locks: usize,
    lock_name: Option<String>,
    wait: Option<Duration>,
}

impl NeedsLock {
    /// One of so many slots, under the activity's name.
    #[must_use]
    pub fn new(max_locks: usize) -> Self {
        Self {
            max_locks,
            lock_name: None,
            wait: None,
        }
    }

    /// Under this name instead: several activities may share it.
    #[must_use]
    pub fn lock_name(mut self, name: impl Into<String>) -> Self {
        self.lock_name = Some(name.into());
        self
    }

    /// How long an execution waits for its slot. By default half of its start-to-close timeout, or
    /// `LOCK_ACQUIRE_TIMEOUT` where it has none.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }
}

/// Runs the activities that need a lock under one, and the others as they are.
#[derive(Debug, Clone)]
pub struct LockInterceptor {
    locker: Locker,
    locks: HashMap<String, Lock>,
}

#[derive(Debug, Clone)]
struct Lock {
    slots: Slots,
    wait: Option<Duration>,
}

impl LockInterceptor {
    /// One for the worker; the locker is shared by all its activities.
    #[must_use]
    pub fn new(locker: Locker) -> Self {
        Self {
            locker,
            locks: HashMap::new(),
        }
    }

    /// Has activities of this type hold a slot while they run.
    ///
    /// # Errors
    ///
    /// When the name cannot be locked, or the number of slots is out of bounds.
    pub fn needs_lock(mut self, activity_type: &str, needs: &NeedsLock) -> Result<Self, Error> {
        let name = needs.lock_name.as_deref().unwrap_or(activity_type);
        let lock = Lock {
            slots: self.locker.slots(name, needs.max_locks)?,
            wait: needs.wait,
        };
        self.locks.insert(activity_type.to_owned(), lock);
        Ok(self)
    }

    /// Runs one execution of an activity. `next` is given the fence of its lease, to be handed to
    /// whatever it writes to, or nothing where the activity needs no lock.
    ///
    /// # Errors
    ///
    /// What the activity fails with, or why it did not begin or was stopped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the activity and gives the slot back in the background. The
    /// context's own cancellation only ends the wait: an activity that runs sees it for itself.
    pub async fn execute_activity<C, F, T, E>(
        &self,
        context: &C,
        next: impl FnOnce(Option<Fence>) -> F + Send,
    ) -> Result<T, ActivityError<E>>
    where
        C: ActivityContext,
        F: Future<Output = Result<T, E>> + Send,
    {
        let info = context.info();
        let Some(lock) = self.locks.get(&info.activity_type) else {
            return next(None).await.map_err(ActivityError::Activity);
        };
        let end = info
            .start_to_close_timeout
            .map(|timeout| (Instant::now() + timeout, timeout));
        let lease = self.lease(lock, context, &info).await?;
        let mut work = pin!(next(Some(lease.fence())));
        // Looks at the clock before each step: a process that was paused has been told nothing yet.
        let steps = poll_fn(|task| match lease.check() {
            Ok(()) => work
                .as_mut()
                .poll(task)
                .map(|result| result.map_err(ActivityError::Activity)),
            Err(lost) => Poll::Ready(Err(ActivityError::Lost(lost))),
        });
        let result = tokio::select! {
            biased;
            reason = lease.lost() => Err(ActivityError::Lost(Error::Lost {
                resource: lease.resource().clone(),
                reason,
            })),
            timeout = over(end) => Err(ActivityError::TimedOut(timeout)),
            result = steps => result,
        };
        // The result stands whatever becomes of the release: one that cannot be confirmed goes on in
        // the background.
        if let Err(error) = lease.release().await {
            tracing::warn!(
                activity = info.activity_type,
                ?error,
                "release not confirmed"
            );
        }
        result
    }

    /// Waits for a slot; the server hears meanwhile that the worker is alive.
    async fn lease<E>(
        &self,
        lock: &Lock,
        context: &impl ActivityContext,
        info: &ActivityInfo,
    ) -> Result<Lease, ActivityError<E>> {
        let options = self.options(lock, info);
        let mut acquiring = pin!(lock.slots.acquire().options(&options).into_future());
        let mut cancelled = pin!(context.cancelled());
        let mut heartbeat = info.heartbeat_timeout.map(|timeout| {
            let mut heartbeat = interval((timeout / 3).max(Duration::from_millis(1)));
            heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            heartbeat
        });
        loop {
            let beat = async {
                match &mut heartbeat {
                    Some(heartbeat) => heartbeat.tick().await,
                    None => pending().await,
                }
            };
            tokio::select! {
                lease = &mut acquiring => return lease.map_err(ActivityError::NotLeased),
                () = &mut cancelled => return Err(ActivityError::Cancelled),
                _ = beat => context.record_heartbeat(),
            }
        }
    }

    fn options(&self, lock: &Lock, info: &ActivityInfo) -> AcquireOptions {
        let mut options = AcquireOptions::new();
        if let Some(timeout) = info.start_to_close_timeout {
            // A worker that died must not block its slot for longer than its attempt could last.
            let configured = self.locker.options().ttl;
            options = options
                .ttl(configured.min(timeout.max(SHORTEST_TTL)))
                .timeout(timeout / 2);
        }
        match lock.wait {
            Some(wait) => options.timeout(wait),
            None => options,
        }
    }
}

/// The end of the start-to-close timeout, which gives its length.
async fn over(end: Option<(Instant, Duration)>) -> Duration {
    match end {
        Some((at, timeout)) => {
            sleep_until(at).await;
            timeout
        }
        None => pending().await,
    }
}
