//! Each rule broken, and each assumption.

use super::rules::{GateCheck, Incarnation, MajorityOf, Rules};
use super::variant::{FAILOVERS, FENCES, SMALL, Variant, sound};
use super::{BROKEN_STAYS_BROKEN, Bounds, FENCES_INCREASE, ONE_LEASE};
use crate::Expected;

const STRICT: Rules = Rules::STRICT;
const UNCOUNTED: Rules = Rules::UNCOUNTED;

/// One rule broken each.
pub const BROKEN: &[Variant] = &[
    broken(
        "no-wait",
        "nothing is confirmed (no WAIT)",
        Rules {
            confirm_grants: false,
            confirm_renewals: false,
            ..STRICT
        },
    ),
    broken(
        "no-wait-on-grant",
        "grants are not confirmed",
        Rules {
            confirm_grants: false,
            ..STRICT
        },
    ),
    broken(
        "no-wait-on-renewal",
        "renewals are not confirmed",
        Rules {
            confirm_renewals: false,
            ..STRICT
        },
    ),
    broken(
        "gate-unlooked",
        "a grant by plain commands counts without a look at the gate behind its WAIT",
        Rules {
            gate_check: GateCheck::Nowhere,
            ..STRICT
        },
    ),
    broken(
        "claim-unbound",
        "a grant counts under another claim than the one under which its client knew the gate to be open",
        Rules {
            bind_grants: false,
            ..STRICT
        },
    ),
    broken(
        "short-gate",
        "the gate opens a tick sooner than the longest lease",
        Rules {
            gate_short_by: 1,
            ..STRICT
        },
    ),
    broken(
        "late-renewal",
        "a renewal confirmed after the old deadline counts",
        Rules {
            void_late_renewals: false,
            ..STRICT
        },
    ),
    broken(
        "unconfirmed-gate",
        "the gate opens before its claim is confirmed, and synchronisations are not counted",
        Rules {
            confirm_gate: false,
            ..UNCOUNTED
        },
    ),
    broken(
        "syncs-uncounted",
        "grants are not voided by a new synchronisation",
        Rules {
            count_syncs: false,
            ..STRICT
        },
    ),
    broken(
        "replica-returns",
        "the same, where a replica goes back to a deposed master and nothing else is new",
        Rules {
            no_return: false,
            ..UNCOUNTED
        },
    ),
    broken(
        "repromoted",
        "the same, where Sentinel promotes a deposed master that was never demoted",
        Rules {
            no_unbroken_repromotion: false,
            ..UNCOUNTED
        },
    ),
    broken(
        "syncs-pardoned",
        "full synchronisations are pardoned in a new deployment at any epoch",
        Rules {
            pardon_only_at_epoch_zero: false,
            ..STRICT
        },
    ),
    restarted(
        "absent-record-opens",
        "a gate without a record opens at once",
        Rules {
            absent_record_waits: false,
            ..STRICT
        },
    ),
    broken(
        "run-id",
        "run_id is the incarnation",
        Rules {
            incarnation: Incarnation::RunId,
            ..STRICT
        },
    ),
    broken(
        "connected-majority",
        "the majority is counted of the connected replicas",
        Rules {
            majority_of: MajorityOf::Connected,
            ..STRICT
        },
    ),
    restarted(
        "new-at-any-epoch",
        "the exception for new deployments holds at any epoch",
        Rules {
            new_only_at_epoch_zero: false,
            ..STRICT
        },
    ),
    counted(
        "new-after-flush",
        "the exception for new deployments holds after FLUSHALL",
        Rules {
            new_only_unflushed: false,
            ..STRICT
        },
    ),
    counted(
        "new-at-any-uptime",
        "the exception for new deployments disregards the uptime",
        Rules {
            new_counts_uptime: false,
            ..STRICT
        },
    ),
    Variant {
        expected: Expected::Breaks(BROKEN_STAYS_BROKEN),
        bounds: Bounds {
            force_releases: true,
            failovers: Some(0),
            ..FAILOVERS
        },
        ..broken(
            "late-re-assertion",
            "a missing key is re-asserted although the gate is open",
            Rules {
                reassert_only_while_closed: false,
                ..STRICT
            },
        )
    },
];

/// One assumption broken each: what the protocol cannot stand, and must tell its users.
pub const ASSUMPTIONS: &[Variant] = &[
    counted(
        "restart-alone",
        "a restarted replica forgets whom it followed and comes up as a master",
        Rules {
            restarts_keep_role: false,
            ..STRICT
        },
    ),
    counted(
        "old-snapshot",
        "a replica restarts with what it had before it followed another master",
        Rules {
            no_old_snapshots: false,
            ..STRICT
        },
    ),
    Variant {
        expected: Expected::Breaks(FENCES_INCREASE),
        bounds: Bounds { skew: 2, ..FENCES },
        ..broken(
            "clocks-apart",
            "the data nodes' clocks differ by the longest lease",
            STRICT,
        )
    },
    Variant {
        expected: Expected::Breaks(BROKEN_STAYS_BROKEN),
        bounds: Bounds {
            force_releases: true,
            ..FAILOVERS
        },
        ..broken(
            "force-then-failover",
            "a failover right after a forced release",
            STRICT,
        )
    },
];

/// What is needless as long as the rest holds: without it nothing is lost that the model can see. Each guards against
/// what the others take for granted.
pub const REDUNDANT: &[Variant] = &[
    redundant(
        "late-re-assertion-alone",
        "re-assertion at an open gate, if nobody deletes keys by hand",
        Rules {
            reassert_only_while_closed: false,
            ..STRICT
        },
    ),
    redundant(
        "resynced-re-assertion-alone",
        "re-assertion at a gate that was closed again, if nobody deletes keys by hand",
        Rules {
            resynced_refuses: false,
            ..STRICT
        },
    ),
    redundant(
        "renewals-unlooked-alone",
        "a renewal counts without a look behind its WAIT, if grants are looked at and no gate opens without a pause",
        Rules {
            look_at_renewals: false,
            ..STRICT
        },
    ),
    redundant(
        "unconfirmed-gate-alone",
        "the gate opens before its claim is confirmed, if every full synchronisation is counted",
        Rules {
            confirm_gate: false,
            ..STRICT
        },
    ),
];

pub(super) const fn broken(name: &'static str, about: &'static str, rules: Rules) -> Variant {
    Variant {
        name,
        about,
        rules,
        bounds: FAILOVERS,
        expected: Expected::Breaks(ONE_LEASE),
    }
}

/// What needs another fault than failovers; of each there is one.
const fn counted(name: &'static str, about: &'static str, rules: Rules) -> Variant {
    let bounds = Bounds {
        failovers: Some(1),
        restarts: Some(1),
        flushes: Some(1),
        backlog_expiries: Some(1),
        ..SMALL
    };
    Variant {
        bounds,
        ..broken(name, about, rules)
    }
}

/// What needs a failover and a restart.
const fn restarted(name: &'static str, about: &'static str, rules: Rules) -> Variant {
    Variant {
        bounds: Bounds {
            restarts: Some(1),
            failovers: Some(1),
            ..FAILOVERS
        },
        ..broken(name, about, rules)
    }
}

const fn redundant(name: &'static str, about: &'static str, rules: Rules) -> Variant {
    let bounds = Bounds {
        failovers: Some(1),
        ..FAILOVERS
    };
    Variant {
        rules,
        ..sound(name, about, bounds)
    }
}
