//! The grant by plain commands holds, and each broken rule yields its counterexample.

mod common;

use common::{breaks, holds};

#[test]
fn commands_of_two_clients_interleaved_and_a_forced_deletion_between() {
    holds("native");
    holds("native-transaction");
}

#[test]
fn a_flush_and_a_failover_that_loses_writes() {
    holds("native-lost");
}

#[test]
fn a_failover_to_a_clock_that_is_behind() {
    holds("native-skew");
    breaks("native-clock-behind");
}

#[test]
fn a_counter_that_was_raised_for_nothing() {
    breaks("native-unchecked");
    breaks("native-checked-before");
}

#[test]
fn a_lost_reply_is_asked_again_by_a_second_pipeline() {
    breaks("native-pipeline-again");
}

#[test]
fn a_counter_that_nobody_seeds() {
    breaks("native-no-seed");
    breaks("native-seed-unchecked");
}
