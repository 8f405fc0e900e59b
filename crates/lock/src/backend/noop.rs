//! No lock at all, for local development: every request is granted.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use crate::backend::ops::{AdoptOutcome, DataSet, GrantOutcome};
use crate::fence::Fence;

/// Grants everything; fences increase within the process.
#[derive(Debug)]
pub(crate) struct Noop;

static LAST_FENCE: AtomicI64 = AtomicI64::new(0);

impl Noop {
    pub(crate) fn grant(&self) -> GrantOutcome {
        GrantOutcome::Granted {
            fence: next_fence(),
            slot: 0,
            data_set: DataSet::local(),
        }
    }

    pub(crate) fn adopt(&self) -> AdoptOutcome {
        AdoptOutcome::Adopted {
            fence: next_fence(),
            data_set: DataSet::local(),
        }
    }
}

/// Like the server's rule: the time in microseconds, or one more than the last.
fn next_fence() -> Fence {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let now = i64::try_from(now.as_micros()).unwrap_or_default().max(1);
    let last = LAST_FENCE
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| {
            Some(now.max(last + 1))
        })
        .unwrap_or_default();
    Fence::try_from(now.max(last + 1)).unwrap_or(Fence::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_increase_in_the_process() {
        let fences: Vec<Fence> = (0..1_000).map(|_| next_fence()).collect();
        assert!(fences.is_sorted_by(|earlier, later| earlier < later));
    }
}
