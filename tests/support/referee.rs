//! Who held what when: one holder at a time, with fences that never go back.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use leasehold::{Fence, Lease};

/// Watches over the grants of one resource in this process.
#[derive(Debug, Default)]
pub struct Referee {
    turns: Mutex<Vec<Turn>>,
}

#[derive(Debug, Clone, Copy)]
struct Turn {
    fence: Fence,
    from: Instant,
    until: Instant,
}

impl Referee {
    /// Records that a lease is being used while `work` runs: from now until it ends, but not longer
    /// than the lease is valid.
    pub async fn watch<T>(&self, lease: &Lease, work: impl Future<Output = T>) -> T {
        let (from, deadline) = (Instant::now(), lease.deadline());
        let output = work.await;
        let until = if lease.is_valid() {
            Instant::now()
        } else {
            deadline.min(Instant::now())
        };
        let turn = Turn {
            fence: lease.fence(),
            from,
            until,
        };
        self.turns
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(turn);
        output
    }

    /// How many grants were seen.
    #[must_use]
    pub fn grants(&self) -> usize {
        self.turns().len()
    }

    /// Asserts that no two holders overlapped and that later grants had greater fences.
    ///
    /// # Panics
    ///
    /// When they did, or had not.
    pub fn assert_one_at_a_time(&self) {
        for pair in self.turns().windows(2) {
            let (earlier, later) = (pair[0], pair[1]);
            assert!(
                earlier.until <= later.from,
                "two holders for {:?}: {earlier:?} {later:?}",
                earlier.until - later.from
            );
        }
        self.assert_fences_rise();
    }

    /// Asserts that later grants had greater fences, whatever became of their leases.
    ///
    /// # Panics
    ///
    /// When they had not.
    pub fn assert_fences_rise(&self) {
        for pair in self.turns().windows(2) {
            assert!(pair[0].fence < pair[1].fence, "{pair:?}");
        }
    }

    fn turns(&self) -> Vec<Turn> {
        let mut turns = self
            .turns
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        turns.sort_by_key(|turn| turn.from);
        turns
    }
}
