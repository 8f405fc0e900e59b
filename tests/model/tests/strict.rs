//! Strict mode holds, and each broken rule and assumption yields its counterexample.

mod common;

use common::{breaks, holds};

#[test]
fn at_most_one_lease_over_a_failover_and_a_restart_and_it_recovers() {
    holds("strict");
}

#[test]
fn a_third_client_changes_nothing() {
    holds("three-clients");
}

#[test]
fn two_failovers() {
    holds("counted");
}

#[test]
fn a_flush_and_a_backlog_that_expires() {
    holds("flushed");
    holds("backlog");
}

#[test]
fn fences_increase() {
    holds("fences");
}

#[test]
fn a_forced_release_lasts() {
    holds("force");
}

#[test]
fn without_wait() {
    breaks("no-wait");
    breaks("no-wait-on-grant");
    breaks("no-wait-on-renewal");
}

#[test]
fn a_script_that_asks_the_gate_first() {
    holds("gate-in-script");
}

#[test]
fn without_a_look_behind_wait() {
    breaks("gate-unlooked");
    breaks("claim-unbound");
}

#[test]
fn a_gate_that_opens_too_soon() {
    breaks("short-gate");
    breaks("unconfirmed-gate");
    breaks("absent-record-opens");
}

#[test]
fn a_renewal_confirmed_after_the_old_deadline() {
    breaks("late-renewal");
}

#[test]
fn run_id_is_no_incarnation() {
    breaks("run-id");
}

#[test]
fn a_majority_of_the_connected_is_none() {
    breaks("connected-majority");
}

#[test]
fn a_new_deployment_that_is_none() {
    breaks("new-at-any-epoch");
    breaks("new-after-flush");
    breaks("new-at-any-uptime");
}

/// The rule excludes nobody as long as keys vanish by expiry alone: then no valid lease meets an open gate without its
/// key. It makes a forced release last.
#[test]
fn re_assertion_after_the_gate_has_opened() {
    breaks("late-re-assertion");
    holds("late-re-assertion-alone");
}

/// A master that was deposed and never demoted keeps its incarnation, and its gate stands open.
#[test]
fn grants_that_a_new_synchronisation_does_not_void() {
    breaks("syncs-uncounted");
    breaks("replica-returns");
    breaks("repromoted");
    breaks("syncs-pardoned");
}

/// The claim's confirmation, and the refusal to re-assert at a gate that was closed again: both are belt and braces as
/// long as every full synchronisation is counted and nobody deletes keys by hand.
#[test]
fn what_counting_makes_needless() {
    holds("unconfirmed-gate-alone");
    holds("renewals-unlooked-alone");
    holds("resynced-re-assertion-alone");
}

#[test]
fn a_replica_restarts_with_an_old_snapshot() {
    breaks("old-snapshot");
}

#[test]
fn what_would_do_without_counting() {
    breaks("repromoted+epoch-only");
    breaks("repromoted+ask-only");
    holds("repromoted+epoch");
}

#[test]
fn a_replica_restarts_as_a_master() {
    breaks("restart-alone");
    breaks("restart-alone+ask-only");
    holds("restart-alone+ask");
}

#[test]
fn asking_sentinel_before_and_after_needs_no_assumption_about_replicas() {
    breaks("replica-returns+ask-grants");
    holds("replica-returns+ask");
    holds("all+ask");
}

#[test]
fn clocks_further_apart_than_the_longest_lease() {
    breaks("clocks-apart");
}

#[test]
fn a_failover_right_after_a_forced_release() {
    breaks("force-then-failover");
}
