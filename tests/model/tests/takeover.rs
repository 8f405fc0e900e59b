//! Opening the gate without a pause holds, and each removed rule yields its counterexample.

mod common;

use common::{breaks, holds};

#[test]
fn a_new_deployment_and_a_failover_and_it_recovers() {
    holds("takeover-new");
}

#[test]
fn a_failover_and_a_restart_and_it_recovers() {
    holds("takeover-restart");
}

#[test]
fn two_failovers() {
    holds("takeover-two");
}

#[test]
fn clocks_that_differ() {
    holds("takeover-skew");
    breaks("takeover-clocks");
}

#[test]
fn a_flush_and_a_backlog_that_is_dropped() {
    holds("takeover-flush");
    holds("takeover-backlog");
}

#[test]
fn late_commands_and_pings_of_replication() {
    holds("takeover-three");
}

#[test]
fn a_predecessor_whose_gate_was_closed() {
    breaks("takeover-predecessor-closed");
}

#[test]
fn evidence_that_shows_too_little() {
    breaks("takeover-any-follower");
    breaks("takeover-acknowledged-only");
    breaks("takeover-connected");
    breaks("takeover-young");
}

#[test]
fn a_master_in_between() {
    breaks("takeover-skipped-epoch");
}

#[test]
fn what_is_not_looked_at_behind_wait() {
    breaks("takeover-gate-unlooked");
    breaks("takeover-syncs-uncounted");
    breaks("takeover-renewals-unlooked");
    breaks("takeover-renewals-unbound");
}

#[test]
fn claims_and_pardons_on_old_answers() {
    breaks("takeover-unvetted");
    breaks("takeover-open-unbound");
    breaks("takeover-stale-pardon");
}

#[test]
fn sentinels_that_forget_their_epoch() {
    breaks("takeover-epoch-forgotten");
}

#[test]
fn a_node_that_restarts_with_an_old_snapshot() {
    breaks("takeover-old-snapshot");
}

#[test]
fn what_a_deposed_master_revoked() {
    holds("takeover-revoked");
}

#[test]
fn revocations_that_a_rule_less_forgets() {
    breaks("takeover-fence-unknown");
    breaks("takeover-no-companion");
    breaks("takeover-seeded-first");
    breaks("takeover-force-unknown");
    breaks("takeover-giver-prolonged");
    breaks("takeover-before-claim");
    breaks("takeover-counter-forgotten");
}
