//! Quorum mode holds, and each broken rule yields its counterexample.

mod common;

use common::{breaks, holds};

#[test]
fn one_lease_and_rising_fences_over_any_number_of_restarts() {
    holds("quorum");
}

#[test]
fn the_fence_is_not_written_back() {
    breaks("quorum-no-write-back");
}

#[test]
fn the_proposed_fence_stands_although_the_answers_differ() {
    breaks("quorum-proposed-anyway");
    breaks("quorum-agreement-of-one");
}

#[test]
fn a_node_takes_a_write_back_for_a_lock_of_another() {
    breaks("quorum-blind-write-back");
}

#[test]
fn a_node_votes_at_once_after_an_empty_restart() {
    breaks("quorum-no-gate");
}

#[test]
fn a_fence_without_a_clock() {
    breaks("quorum-no-clock");
}

#[test]
fn a_lease_is_handed_out_after_its_deadline() {
    breaks("quorum-late-hand-out");
}

#[test]
fn one_grant_is_no_majority() {
    breaks("quorum-minority");
}

#[test]
fn clocks_further_apart_than_the_longest_lease() {
    breaks("quorum-clocks-apart");
}
