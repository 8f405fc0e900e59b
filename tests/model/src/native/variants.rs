//! The grant by plain commands, and each of its rules broken.

use super::{FENCES_INCREASE, Native, ONE_LEASE, Proof};
use crate::Expected;

/// A configuration and what it must show.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is different from the protocol.
    pub about: &'static str,
    /// The rules in force, and how far to explore.
    pub model: Native,
    /// What it must show.
    pub expected: Expected,
}

/// Commands interleave, a lock is deleted by force, a reply is lost.
const INTERLEAVED: Native = Native {
    forced: 1,
    lost_replies: 1,
    ..Native::PROTOCOL
};

/// The data set is lost in every way.
const LOST: Native = Native {
    ticks: 2,
    raises: 2,
    losses: 1,
    flushes: 1,
    ..Native::PROTOCOL
};

/// The grant as the protocol has it.
pub const SOUND: &[Variant] = &[
    holds(
        "native",
        "SET, INCR, GET of two clients interleaved, a forced deletion, a lost reply",
        INTERLEAVED,
    ),
    holds(
        "native-transaction",
        "the same in MULTI/EXEC",
        Native {
            proof: Proof::Transaction,
            ..INTERLEAVED
        },
    ),
    holds(
        "native-lost",
        "a flush, or an empty restart, and a failover that loses writes",
        LOST,
    ),
    holds(
        "native-skew",
        "a failover to a master whose clock is behind by less than the age of the links",
        Native {
            skew: 1,
            ticks: 4,
            flushes: 0,
            ..LOST
        },
    ),
];

/// One rule, or assumption, broken each.
pub const BROKEN: &[Variant] = &[
    broken(
        "native-unchecked",
        "the fence counts although the lock was another's when the counter was raised",
        ONE_LEASE,
        Native {
            proof: Proof::Nothing,
            ..INTERLEAVED
        },
    ),
    broken(
        "native-checked-before",
        "the lock is read before the counter is raised",
        ONE_LEASE,
        Native {
            proof: Proof::GetBefore,
            ..INTERLEAVED
        },
    ),
    broken(
        "native-pipeline-again",
        "a lost reply is asked again by a second pipeline with the same token",
        FENCES_INCREASE,
        Native {
            ask_again_by_script: false,
            ..INTERLEAVED
        },
    ),
    broken(
        "native-no-seed",
        "a link does not seed the counter",
        FENCES_INCREASE,
        Native {
            seed_links: false,
            ..LOST
        },
    ),
    broken(
        "native-seed-unchecked",
        "an answer of INCR below the link's seed counts",
        FENCES_INCREASE,
        Native {
            check_seed: false,
            ..LOST
        },
    ),
    broken(
        "native-clock-behind",
        "the next master's clock is behind by more than the age of the links",
        FENCES_INCREASE,
        Native {
            skew: 1,
            clock_passes_fences: false,
            ..LOST
        },
    ),
];

/// Every variant.
pub fn all() -> impl Iterator<Item = &'static Variant> {
    [SOUND, BROKEN].into_iter().flatten()
}

const fn holds(name: &'static str, about: &'static str, model: Native) -> Variant {
    Variant {
        name,
        about,
        model,
        expected: Expected::Holds,
    }
}

const fn broken(
    name: &'static str,
    about: &'static str,
    property: &'static str,
    model: Native,
) -> Variant {
    Variant {
        name,
        about,
        model,
        expected: Expected::Breaks(property),
    }
}
