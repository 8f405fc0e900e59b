//! The configurations: strict mode itself, and by way of `broken` each rule and each assumption broken.

use super::Bounds;
pub use super::broken::{ASSUMPTIONS, BROKEN, REDUNDANT};
pub use super::remedies::REMEDIES;
use super::rules::{GateCheck, Rules};
pub use super::variant::Variant;
use super::variant::{FAILOVERS, FENCES, SMALL, sound};

/// The sound configurations that are small enough for every run.
pub const SOUND: &[Variant] = &[
    sound(
        "strict",
        "a failover and a restart, with recovery",
        Bounds {
            failovers: Some(1),
            restarts: Some(1),
            check_recovery: true,
            ..FAILOVERS
        },
    ),
    sound(
        "three-clients",
        "a failover, three clients, scripts on their way",
        Bounds {
            clients: 3,
            failovers: Some(1),
            delay: 1,
            ..FAILOVERS
        },
    ),
    sound("counted", "two failovers", FAILOVERS),
    sound(
        "flushed",
        "a failover and FLUSHALL",
        Bounds {
            failovers: Some(1),
            flushes: Some(1),
            ..FAILOVERS
        },
    ),
    sound(
        "backlog",
        "a failover and a backlog that expires",
        Bounds {
            failovers: Some(1),
            backlog_expiries: Some(1),
            ..FAILOVERS
        },
    ),
    sound("fences", "a failover, fences, all clocks alike", FENCES),
    Variant {
        rules: Rules {
            gate_check: GateCheck::InScript,
            ..Rules::STRICT
        },
        ..sound(
            "gate-in-script",
            "a script grants, which asks the gate first",
            Bounds {
                failovers: Some(1),
                ..FAILOVERS
            },
        )
    },
    sound(
        "force",
        "operators release by force, no failover",
        Bounds {
            force_releases: true,
            failovers: Some(0),
            ..FAILOVERS
        },
    ),
];

/// The sound configurations that take their time.
pub const FULL: &[Variant] = &[
    sound(
        "full",
        "faults of every kind without bound, three clients, longer leases, scripts on their way",
        Bounds {
            clients: 3,
            lease: 3,
            delay: 1,
            ..SMALL
        },
    ),
    sound(
        "full-recovery",
        "faults of every kind without bound, with recovery from every state",
        Bounds {
            check_recovery: true,
            ..SMALL
        },
    ),
    sound(
        "full-fences",
        "a failover, a restart, fences, skew below the longest lease",
        Bounds {
            skew: 1,
            restarts: Some(1),
            ..FENCES
        },
    ),
    larger(
        "full-restart-alone+ask",
        "what would do for replicas that restart as masters, without counting",
        Rules {
            restarts_keep_role: false,
            claim_asks_sentinel: true,
            renew_needs_claim: true,
            ..Rules::UNCOUNTED
        },
    ),
    larger(
        "full-repromoted+epoch",
        "what would do for promotions of deposed masters, without counting",
        Rules {
            no_unbroken_repromotion: false,
            grants_ask_sentinel: true,
            epoch_in_record: true,
            ..Rules::UNCOUNTED
        },
    ),
];

/// Every variant.
pub fn all() -> impl Iterator<Item = &'static Variant> {
    [SOUND, FULL, BROKEN, ASSUMPTIONS, REDUNDANT, REMEDIES]
        .into_iter()
        .flatten()
}

/// A remedy under longer leases and a third client.
const fn larger(name: &'static str, about: &'static str, rules: Rules) -> Variant {
    Variant {
        rules,
        ..sound(
            name,
            about,
            Bounds {
                clients: 3,
                lease: 3,
                delay: 1,
                ..SMALL
            },
        )
    }
}
