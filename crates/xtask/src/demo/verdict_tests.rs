//! Bad histories, planted, that the verdict must not let pass.

use super::super::history::{Event, History, Holding, Step};
use super::*;

fn holding(worker: usize, fence: u64, from: Micros, until: Micros) -> Holding {
    Holding {
        worker,
        fence,
        from,
        until,
    }
}

fn step(step: u64, fence: u64) -> Step {
    Step { step, fence }
}

/// Three leases in turn; the master dies under the second, and the third is the new master's.
fn good() -> History {
    History {
        end: 4_000_000,
        workers: 2,
        holdings: vec![
            holding(0, 10, 0, 400_000),
            holding(1, 20, 500_000, 1_400_000),
            holding(0, 30, 2_500_000, 2_900_000),
        ],
        accepted: vec![step(1, 10), step(2, 20), step(3, 30)],
        journal: vec![step(1, 10), step(2, 20), step(3, 30)],
        events: vec![
            Event::Killed {
                node: 0,
                at: 1_000_000,
            },
            Event::Promoted {
                node: 1,
                at: 1_900_000,
            },
        ],
        ..History::default()
    }
}

fn bad(spoil: impl FnOnce(&mut History)) -> Verdict {
    let mut history = good();
    spoil(&mut history);
    let verdict = Verdict::of(&history);
    assert!(!verdict.holds(), "{verdict:?}");
    verdict
}

#[test]
fn a_good_run_passes() {
    let verdict = Verdict::of(&good());
    assert!(verdict.holds(), "{verdict:?}");
    assert_eq!((verdict.grants, verdict.overlaps), (3, 0));
    assert_eq!(verdict.failover_pause, Some(1_500_000));
}

#[test]
fn two_holders_at_once() {
    let verdict = bad(|history| history.holdings[1].from = 399_999);
    assert_eq!(verdict.overlaps, 1);
    // One that begins in the moment in which another ends does not overlap it.
    let mut history = good();
    history.holdings[1].from = 400_000;
    assert_eq!(Verdict::of(&history).overlaps, 0);
}

#[test]
fn a_holder_in_the_middle_of_anothers_lease() {
    let verdict = bad(|history| history.holdings[0].until = 2_600_000);
    assert_eq!(verdict.overlaps, 2);
}

#[test]
fn a_worker_that_overlaps_itself() {
    let verdict = bad(|history| {
        history.holdings[1].worker = 0;
        history.holdings[1].from = 300_000;
    });
    assert_eq!(verdict.overlaps, 1);
}

#[test]
fn a_fence_that_falls_or_repeats() {
    assert!(!bad(|history| history.holdings[2].fence = 19).fences_increasing);
    assert!(!bad(|history| history.holdings[2].fence = 20).fences_increasing);
}

#[test]
fn a_stale_write_in_the_journal() {
    let verdict = bad(|history| history.journal.push(step(4, 20)));
    assert_eq!(verdict.stale_writes_accepted, 1);
}

#[test]
fn a_step_that_was_accepted_and_is_gone() {
    let verdict = bad(|history| history.journal.truncate(2));
    assert_eq!((verdict.writes_missing, verdict.resumed), (1, false));
    let verdict = bad(|history| history.journal[1].fence = 11);
    assert_eq!(verdict.writes_missing, 1);
}

#[test]
fn the_same_step_twice_and_a_gap() {
    let verdict = bad(|history| history.journal[2].step = 2);
    assert_eq!(verdict.updates_lost, 1);
    let verdict = bad(|history| history.journal[0].step = 0);
    assert_eq!(verdict.updates_lost, 2);
}

#[test]
fn a_holder_that_never_said_when_it_ended() {
    assert_eq!(bad(|history| history.unfinished = 1).grants, 4);
}

#[test]
fn work_that_does_not_resume() {
    let verdict = bad(|history| history.holdings.truncate(2));
    assert_eq!((verdict.failover_pause, verdict.resumed), (None, false));
    // A grant that was on its way when the master died is not the new master's.
    let verdict = bad(|history| {
        history.holdings[2].from = 1_450_000;
        history.holdings[2].until = 1_500_000;
    });
    assert!(!verdict.resumed);
}
