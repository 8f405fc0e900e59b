//! Quorum mode itself, and each of its rules broken.

use super::{FENCES_INCREASE, ONE_LEASE, Quorum};
use crate::Expected;

/// A configuration and what it must show.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is different from the protocol.
    pub about: &'static str,
    /// The rules in force, and how far to explore.
    pub model: Quorum,
    /// What it must show.
    pub expected: Expected,
}

const PROTOCOL: Quorum = Quorum::PROTOCOL;

/// Quorum mode as the protocol has it.
pub const SOUND: &[Variant] = &[Variant {
    name: "quorum",
    about: "overlapping acquirers, crashes, restarts with memory loss, all clocks alike",
    model: Quorum {
        skew: 0,
        extensions: false,
        ..PROTOCOL
    },
    expected: Expected::Holds,
}];

/// What takes its time.
pub const FULL: &[Variant] = &[Variant {
    name: "full-quorum",
    about: "the same with clocks apart by less than the longest lease, and extensions",
    model: PROTOCOL,
    expected: Expected::Holds,
}];

/// One rule broken each.
pub const BROKEN: &[Variant] = &[
    broken(
        "quorum-no-write-back",
        "the fence is not written back",
        FENCES_INCREASE,
        Quorum {
            write_back: false,
            ..PROTOCOL
        },
    ),
    broken(
        "quorum-blind-write-back",
        "a node raises its fence to at least the client's, and never refuses",
        FENCES_INCREASE,
        Quorum {
            refuse_raise: false,
            skew: 0,
            ..PROTOCOL
        },
    ),
    broken(
        "quorum-raise-behind-gate",
        "a node takes write-backs while its gate is closed",
        FENCES_INCREASE,
        Quorum {
            gate_on_raise: false,
            skew: 0,
            ..PROTOCOL
        },
    ),
    broken(
        "quorum-no-gate",
        "a node votes at once after a restart with an empty memory",
        ONE_LEASE,
        Quorum {
            gate: false,
            skew: 0,
            ..PROTOCOL
        },
    ),
    broken(
        "quorum-no-clock",
        "the fence is a mere counter",
        FENCES_INCREASE,
        Quorum {
            clock_in_fence: false,
            skew: 0,
            ..PROTOCOL
        },
    ),
    broken(
        "quorum-late-hand-out",
        "a lease is handed out after its deadline",
        ONE_LEASE,
        Quorum {
            check_deadline: false,
            skew: 0,
            restarts: false,
            ..PROTOCOL
        },
    ),
    broken(
        "quorum-minority",
        "one node's grant suffices",
        ONE_LEASE,
        Quorum {
            majority: 1,
            skew: 0,
            ..PROTOCOL
        },
    ),
    broken(
        "quorum-clocks-apart",
        "clocks differ by the longest lease",
        FENCES_INCREASE,
        Quorum {
            skew: 2,
            extensions: false,
            ..PROTOCOL
        },
    ),
];

/// Every variant.
pub fn all() -> impl Iterator<Item = &'static Variant> {
    [SOUND, FULL, BROKEN].into_iter().flatten()
}

const fn broken(
    name: &'static str,
    about: &'static str,
    property: &'static str,
    model: Quorum,
) -> Variant {
    Variant {
        name,
        about,
        model,
        expected: Expected::Breaks(property),
    }
}
