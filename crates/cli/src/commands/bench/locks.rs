//! Locks taken and released, and how long each step took.

use std::time::{Duration, Instant};

use leasehold::{Error, Locker};
use tokio_util::sync::CancellationToken;

use super::samples::Samples;

/// How long each step of taking and releasing took.
#[derive(Debug, Default)]
pub(super) struct Locks {
    pub(super) acquire: Samples,
    pub(super) release: Samples,
    pub(super) pair: Samples,
    pub(super) failures: u64,
    pub(super) last_failure: Option<Error>,
}

impl Locks {
    pub(super) fn add(&mut self, other: Self) {
        self.acquire.merge(other.acquire);
        self.release.merge(other.release);
        self.pair.merge(other.pair);
        self.failures += other.failures;
        self.last_failure = other.last_failure.or(self.last_failure.take());
    }

    pub(super) fn took(&mut self, duration: Duration) {
        for samples in [&mut self.acquire, &mut self.release, &mut self.pair] {
            samples.took(duration);
        }
    }
}

pub(super) async fn lock_and_release(
    locker: &Locker,
    name: &str,
    until: Instant,
    stop: &CancellationToken,
) -> Locks {
    let mut locks = Locks::default();
    while Instant::now() < until && !stop.is_cancelled() {
        let asked = Instant::now();
        let released = async {
            let lease = locker.try_acquire(name).await?;
            let taken = asked.elapsed();
            lease.release().await?;
            Ok::<_, Error>(taken)
        };
        match released.await {
            Ok(taken) => {
                let pair = asked.elapsed();
                locks.acquire.add(taken);
                locks.release.add(pair - taken);
                locks.pair.add(pair);
            }
            Err(error) => {
                locks.failures += 1;
                let is_hopeless = !error.is_retryable();
                locks.last_failure = Some(error);
                if is_hopeless {
                    break;
                }
                // While nothing can be asked there is nothing to measure.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    locks
}
