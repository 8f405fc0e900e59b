//! Whether a run was right. Nothing here trusts the lock: everything follows from the holders'
//! own records and from the journal as it was found.

use std::collections::HashSet;

use super::history::{History, Holding, Micros, Step};

/// Sentinel's `down-after` in the demo. A grant that is recorded sooner after the master's death
/// was still made by it: nobody has been promoted yet.
pub(crate) const DOWN_AFTER: Micros = 500_000;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) grants: usize,
    /// Pairs of leases of which both holders acted at the same time.
    pub(crate) overlaps: usize,
    /// Whether each grant had a greater fence than the one before.
    pub(crate) fences_increasing: bool,
    /// Steps in the journal that have a lower fence than one before them.
    pub(crate) stale_writes_accepted: usize,
    /// Steps that a worker knows to be in the journal, and that are not.
    pub(crate) writes_missing: usize,
    /// Steps that do not follow the one before: somebody overwrote somebody's work.
    pub(crate) updates_lost: usize,
    /// Grants of which no end was recorded.
    pub(crate) unfinished: usize,
    /// From the master's death to the first grant on the new master.
    pub(crate) failover_pause: Option<Micros>,
    /// Whether a step was added to the journal under a lease from the new master.
    pub(crate) resumed: bool,
}

impl Verdict {
    pub(crate) fn of(history: &History) -> Self {
        let first_after = first_grant_after_failover(history);
        Self {
            grants: history.holdings.len() + history.unfinished,
            overlaps: overlaps(&history.holdings),
            fences_increasing: history.holdings.is_sorted_by(|a, b| a.fence < b.fence),
            stale_writes_accepted: stale_writes(&history.journal),
            writes_missing: missing(&history.accepted, &history.journal),
            updates_lost: updates_lost(&history.journal),
            unfinished: history.unfinished,
            failover_pause: first_after
                .zip(history.killed_at())
                .map(|(first, killed)| first.from - killed),
            resumed: first_after
                .is_some_and(|first| history.journal.iter().any(|step| step.fence >= first.fence)),
        }
    }

    /// Whether the run kept every promise.
    pub(crate) fn holds(&self) -> bool {
        self.is_safe() && self.resumed
    }

    /// Whether nothing happened that must not, however little did.
    pub(crate) fn is_safe(&self) -> bool {
        self.overlaps == 0
            && self.fences_increasing
            && self.stale_writes_accepted == 0
            && self.writes_missing == 0
            && self.updates_lost == 0
            && self.unfinished == 0
    }
}

/// The first grant that only the new master can have made.
pub(crate) fn first_grant_after_failover(history: &History) -> Option<&Holding> {
    let killed = history.killed_at()?;
    let mut holdings = history.holdings.iter();
    holdings.find(|holding| holding.from > killed + DOWN_AFTER)
}

/// Pairs of holdings that share a moment; `holdings` are in the order of their beginning.
fn overlaps(holdings: &[Holding]) -> usize {
    let later_ones = |index: usize| &holdings[index + 1..];
    let pairs = holdings.iter().enumerate().map(|(index, first)| {
        let later = later_ones(index).iter();
        later.take_while(|second| second.from < first.until).count()
    });
    pairs.sum()
}

fn stale_writes(journal: &[Step]) -> usize {
    let mut highest = 0;
    let stale = journal.iter().filter(|step| {
        let is_stale = step.fence < highest;
        highest = highest.max(step.fence);
        is_stale
    });
    stale.count()
}

fn missing(accepted: &[Step], journal: &[Step]) -> usize {
    let found: HashSet<(u64, u64)> = journal.iter().map(|step| (step.step, step.fence)).collect();
    let absent = accepted
        .iter()
        .filter(|step| !found.contains(&(step.step, step.fence)));
    absent.count()
}

fn updates_lost(journal: &[Step]) -> usize {
    let steps = journal.iter().map(|step| step.step);
    std::iter::once(0)
        .chain(steps.clone())
        .zip(steps)
        .filter(|(before, step)| *step != before + 1)
        .count()
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
