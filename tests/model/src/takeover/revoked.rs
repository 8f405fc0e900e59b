//! What a deposed master's revocations need: each rule removed, with what comes of it.

use super::rules::Rules;
use super::variant::{REVOKED, Variant, broken, sound};
use super::{Bounds, NOBODY_ROBBED, REVOKED_STAYS};
use crate::Expected;

const PROTOCOL: Rules = Rules::PROTOCOL;

/// Leases that are handed over, released by force, or released and granted anew, before a failover.
pub const REVOCATIONS: &[Variant] = &[
    sound(
        "takeover-revoked",
        "leases handed over and released by force, and a failover",
        REVOKED,
    ),
    robbed(
        "takeover-fence-unknown",
        "a renewal takes the key from whoever has left no fence",
        REVOKED,
        Rules {
            take_by_counter: false,
            ..PROTOCOL
        },
    ),
    robbed(
        "takeover-no-companion",
        "renewals leave no fence",
        REVOKED,
        Rules {
            companion: false,
            ..PROTOCOL
        },
    ),
    robbed(
        "takeover-seeded-first",
        "the claim reads the counter after it has seeded it",
        REVOKED,
        Rules {
            counter_before_seed: false,
            ..PROTOCOL
        },
    ),
    robbed(
        "takeover-counter-forgotten",
        "a claim after a gate that was never open reads the counter anew",
        Bounds {
            failovers: 2,
            lease: 1,
            ..REVOKED
        },
        Rules {
            carry_counter: false,
            ..PROTOCOL
        },
    ),
    Variant {
        expected: Expected::Breaks(REVOKED_STAYS),
        ..robbed(
            "takeover-before-claim",
            "renewals and forced releases write before the gate is claimed",
            REVOKED,
            Rules {
                claim_first: false,
                ..PROTOCOL
            },
        )
    },
    broken(
        "takeover-giver-prolonged",
        "a lease that was handed over is prolonged behind a closed gate",
        REVOKED,
        Rules {
            giver_waits: false,
            ..PROTOCOL
        },
    ),
    Variant {
        expected: Expected::Breaks(REVOKED_STAYS),
        ..robbed(
            "takeover-force-unknown",
            "a forced release leaves no fence",
            REVOKED,
            Rules {
                force_leaves_fence: false,
                ..PROTOCOL
            },
        )
    },
];

const fn robbed(name: &'static str, about: &'static str, bounds: Bounds, rules: Rules) -> Variant {
    Variant {
        expected: Expected::Breaks(NOBODY_ROBBED),
        ..broken(name, about, bounds, rules)
    }
}
