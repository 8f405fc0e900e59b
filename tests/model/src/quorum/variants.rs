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
        others: 1,
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
        "where the answers differ, the greatest is the fence without being written back",
        FENCES_INCREASE,
        Quorum {
            write_back: false,
            ..PROTOCOL
        },
    ),
    broken(
        "quorum-proposed-anyway",
        "where the answers differ, what was proposed is the fence",
        FENCES_INCREASE,
        Quorum {
            write_back: false,
            take_greatest: false,
            ..PROTOCOL
        },
    ),
    broken(
        "quorum-agreement-of-one",
        "a majority grants, and what one of it answers as proposed stands",
        FENCES_INCREASE,
        Quorum {
            agreement: 1,
            ..PROTOCOL
        },
    ),
    broken(
        "quorum-blind-write-back",
        "a node takes a write-back although the lock is not the client's own",
        FENCES_INCREASE,
        Quorum {
            raise_needs_lock: false,
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
        "nothing is proposed: the fence is a mere counter",
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
