//! What would mend broken assumptions, and what is still broken with half of it.

use super::broken::broken;
use super::rules::Rules;
use super::variant::{SMALL, Variant};
use crate::Expected;

const UNCOUNTED: Rules = Rules::UNCOUNTED;

const ASK: Rules = Rules {
    grants_ask_sentinel: true,
    renewals_ask_sentinel: true,
    ..UNCOUNTED
};

/// Each remedy, and half of each.
pub const REMEDIES: &[Variant] = &[
    mended(
        "restart-alone+ask",
        "claims only where Sentinel, asked after the incarnation was read, says master; no renewal without a claim",
        Rules {
            restarts_keep_role: false,
            claim_asks_sentinel: true,
            renew_needs_claim: true,
            ..UNCOUNTED
        },
    ),
    half(
        "restart-alone+ask-only",
        "claims only where Sentinel says master",
        Rules {
            restarts_keep_role: false,
            claim_asks_sentinel: true,
            ..UNCOUNTED
        },
    ),
    mended(
        "repromoted+epoch",
        "the record bears the epoch, and grants ask Sentinel before and after",
        Rules {
            no_unbroken_repromotion: false,
            grants_ask_sentinel: true,
            epoch_in_record: true,
            ..UNCOUNTED
        },
    ),
    half(
        "repromoted+epoch-only",
        "the record bears the epoch",
        Rules {
            no_unbroken_repromotion: false,
            epoch_in_record: true,
            ..UNCOUNTED
        },
    ),
    half(
        "repromoted+ask-only",
        "grants and renewals ask Sentinel before and after",
        Rules {
            no_unbroken_repromotion: false,
            ..ASK
        },
    ),
    mended(
        "replica-returns+ask",
        "grants and renewals ask Sentinel before and after",
        Rules {
            no_return: false,
            ..ASK
        },
    ),
    half(
        "replica-returns+ask-grants",
        "only grants ask Sentinel before and after",
        Rules {
            no_return: false,
            grants_ask_sentinel: true,
            ..UNCOUNTED
        },
    ),
    mended(
        "all+ask",
        "all three assumptions broken; Sentinel asked throughout, the epoch in the record",
        Rules {
            no_return: false,
            restarts_keep_role: false,
            no_unbroken_repromotion: false,
            epoch_in_record: true,
            ..ASK
        },
    ),
];

const fn mended(name: &'static str, about: &'static str, rules: Rules) -> Variant {
    Variant {
        name,
        about,
        rules,
        bounds: SMALL,
        expected: Expected::Holds,
    }
}

/// Half of a remedy, under faults without bound.
const fn half(name: &'static str, about: &'static str, rules: Rules) -> Variant {
    Variant {
        bounds: SMALL,
        ..broken(name, about, rules)
    }
}
