//! What the reply to a renewal means for its lease, and what is taken back.

use std::sync::Arc;

use super::lease_state::tests::held;
use super::lease_state::{LeaseState, Purpose};
use super::renew::{Renewed, judge};
use crate::backend::ops::{DataSet, RenewOutcome};
use crate::clock::Clock;
use crate::master::confirm::Confirmed;
use crate::{Error, Locker, LostReason, MemoryStore};

fn renewed(reasserted: bool) -> RenewOutcome {
    RenewOutcome::Renewed {
        data_set: DataSet::local(),
        reasserted,
        is_gate_closed: false,
    }
}

fn unconfirmed(reasserted: bool) -> RenewOutcome {
    RenewOutcome::NotReplicated {
        confirmed: Confirmed {
            acknowledged: 1,
            needed: 2,
            data_nodes: 3,
            look: None,
        },
        reasserted,
    }
}

/// What becomes of a lease, and how much is taken back for it.
async fn judged(end: impl Fn(&LeaseState), renewal: RenewOutcome) -> (Renewed, usize) {
    let locker = Locker::in_memory(&MemoryStore::new());
    let cleanup = &locker.core().cleanup;
    let clock = Clock::runtime();
    let held = Arc::new(held(clock));
    end(&held);
    let renewed = judge(cleanup, &held, Purpose::Prolong, clock.now(), renewal);
    (renewed, cleanup.pending())
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_too_few_confirm_is_tried_again_while_the_lease_lasts() {
    for reasserted in [false, true] {
        let (outcome, taken_back) = judged(|_| (), unconfirmed(reasserted)).await;
        let again = Renewed::TryAgain(Error::NotReplicated {
            resource: held(Clock::runtime()).resource,
            acknowledged: 1,
            needed: 2,
            data_nodes: 3,
        });
        assert_eq!(format!("{outcome:?}"), format!("{again:?}"));
        assert_eq!(taken_back, 0);
        let (outcome, taken_back) = judged(|_| (), renewed(reasserted)).await;
        assert!(matches!(outcome, Renewed::Confirmed), "{outcome:?}");
        assert_eq!(taken_back, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_renewal_kept_of_a_lost_lease_is_taken_back() {
    for renewal in [
        renewed(false),
        renewed(true),
        unconfirmed(false),
        unconfirmed(true),
    ] {
        let told = format!("{renewal:?}");
        let lose = |held: &LeaseState| held.lose(&LostReason::Deleted);
        let (outcome, taken_back) = judged(lose, renewal).await;
        assert!(
            matches!(outcome, Renewed::Over(LostReason::Deleted)),
            "{told}: {outcome:?}"
        );
        assert_eq!(taken_back, 1, "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_release_only_a_key_that_was_written_again_is_taken_back() {
    for (renewal, expected) in [
        (renewed(false), 0),
        (renewed(true), 1),
        (unconfirmed(false), 0),
        (unconfirmed(true), 1),
    ] {
        let told = format!("{renewal:?}");
        let release = |held: &LeaseState| assert!(held.begin_release());
        let (outcome, taken_back) = judged(release, renewal).await;
        assert!(matches!(outcome, Renewed::Over(_)), "{told}: {outcome:?}");
        assert_eq!(taken_back, expected, "{told}");
    }
}
