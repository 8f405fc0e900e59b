//! Each rule of the take-over removed, with what comes of it.

use super::Bounds;
use super::rules::{Evidence, MajorityOf, Pardon, Rules};
use super::variant::{BRIEF, ONE, TWO, Variant, broken, sound};

const PROTOCOL: Rules = Rules::PROTOCOL;

/// One rule, or assumption, removed each.
pub const BROKEN: &[Variant] = &[
    broken(
        "takeover-predecessor-closed",
        "a: the predecessor's gate need not have been open",
        BRIEF,
        Rules {
            predecessor_was_open: false,
            ..PROTOCOL
        },
    ),
    broken(
        "takeover-any-follower",
        "b: who follows the new master counts, however it came",
        ONE,
        Rules {
            evidence: Evidence::Follows,
            ..PROTOCOL
        },
    ),
    broken(
        "takeover-acknowledged-only",
        "b: who has acknowledged the claim counts",
        ONE,
        Rules {
            evidence: Evidence::Acknowledged,
            ..PROTOCOL
        },
    ),
    broken(
        "takeover-connected",
        "b: the majority is counted of the connected replicas",
        BRIEF,
        Rules {
            majority_of: MajorityOf::Connected,
            ..PROTOCOL
        },
    ),
    broken(
        "takeover-young",
        "c: who has just started counts, with an old snapshot",
        Bounds {
            saves: 1,
            failovers: 1,
            ..BRIEF
        },
        Rules {
            uptime: false,
            no_old_snapshots: false,
            ..PROTOCOL
        },
    ),
    broken(
        "takeover-clocks",
        "e: a grant is told at once although clocks differ",
        Bounds { skew: 1, ..ONE },
        Rules {
            hold: false,
            ..PROTOCOL
        },
    ),
    broken(
        "takeover-skipped-epoch",
        "f: there may have been another master in between",
        BRIEF,
        Rules {
            next_epoch: false,
            ..PROTOCOL
        },
    ),
    broken(
        "takeover-renewals-unlooked",
        "g: renewals count without a look behind their WAIT",
        TWO,
        Rules {
            look_at_renewals: false,
            ..PROTOCOL
        },
    ),
    broken(
        "takeover-renewals-unbound",
        "g: that look need not find the claim that the renewal found",
        TWO,
        Rules {
            bind_renewals: false,
            ..PROTOCOL
        },
    ),
    broken(
        "takeover-unvetted",
        "h: a claim may name a sync_full that was read after the Sentinels were asked",
        TWO,
        Rules {
            vet: false,
            ..PROTOCOL
        },
    ),
    broken(
        "takeover-open-unbound",
        "i: gate_open opens whatever claim there is",
        BRIEF,
        Rules {
            bind_open: false,
            ..PROTOCOL
        },
    ),
    broken(
        "takeover-gate-unlooked",
        "a grant counts without a look at the gate",
        ONE,
        Rules {
            look_at_gate: false,
            ..PROTOCOL
        },
    ),
    broken(
        "takeover-syncs-uncounted",
        "full synchronisations are not counted",
        ONE,
        Rules {
            count_syncs: false,
            ..PROTOCOL
        },
    ),
    broken(
        "takeover-stale-pardon",
        "a new sync_full is written on what the Sentinels said before it was read",
        ONE,
        Rules {
            pardon: Pardon::Stale,
            ..PROTOCOL
        },
    ),
];

/// One assumption broken each.
pub const ASSUMPTIONS: &[Variant] = &[
    broken(
        "takeover-epoch-forgotten",
        "the Sentinels start again at epoch nought and name a deposed master that was never demoted",
        BRIEF,
        Rules {
            epochs_grow: false,
            ..PROTOCOL
        },
    ),
    broken(
        "takeover-old-snapshot",
        "a node restarts with an old snapshot",
        Bounds {
            saves: 1,
            failovers: 1,
            ..BRIEF
        },
        Rules {
            no_old_snapshots: false,
            ..PROTOCOL
        },
    ),
];

/// Rules whose counterexample takes its time, so in `--full` only.
pub const FULL_BROKEN: &[Variant] = &[
    broken(
        "full-takeover-holds-not-added",
        "e: what the last master held its grants back for is forgotten",
        MEASURED,
        Rules {
            add_holds: false,
            ..PROTOCOL
        },
    ),
    broken(
        "full-takeover-written-once",
        "e: a grant that was held back counts by what was acknowledged before",
        MEASURED,
        Rules {
            write_again: false,
            ..PROTOCOL
        },
    ),
];

const MEASURED: Bounds = Bounds {
    skew: 1,
    measured: true,
    ..TWO
};

/// What is kept although nothing comes of its removal here: it does not rest on the other rules. Two failovers each, so in
/// `--full` only.
pub const SECOND_GUARDS: &[Variant] = &[
    kept(
        "full-takeover-any-record",
        "a: the record need not name the predecessor",
        TWO,
        Rules {
            record_names_predecessor: false,
            ..PROTOCOL
        },
    ),
    kept(
        "full-takeover-claimless",
        "d: who shows evidence need not have the claim",
        TWO,
        Rules {
            has_claim: false,
            ..PROTOCOL
        },
    ),
    kept(
        "full-takeover-older-epoch",
        "j: a claim of an older epoch than the record's is taken",
        TWO,
        Rules {
            refuse_older: false,
            ..PROTOCOL
        },
    ),
    kept(
        "full-takeover-grants-unbound",
        "a grant's look need not find the claim that its client knew",
        TWO,
        Rules {
            bind_grants: false,
            ..PROTOCOL
        },
    ),
];

const fn kept(name: &'static str, about: &'static str, bounds: Bounds, rules: Rules) -> Variant {
    Variant {
        rules,
        ..sound(name, about, bounds)
    }
}
