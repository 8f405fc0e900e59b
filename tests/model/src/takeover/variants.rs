//! The configurations: the protocol's, and by way of `broken` and `revoked` each rule removed.

use super::Bounds;
pub use super::broken::{ASSUMPTIONS, BROKEN, FULL_BROKEN, SECOND_GUARDS};
pub use super::revoked::REVOCATIONS;
pub use super::variant::Variant;
use super::variant::{ONE, REVOKED, TWO, sound};

/// The protocol, as far as it is explored in every run.
pub const SOUND: &[Variant] = &[
    sound(
        "takeover-new",
        "a new deployment and a failover, with recovery",
        Bounds {
            new_deployment: true,
            check_recovery: true,
            ..ONE
        },
    ),
    sound(
        "takeover-restart",
        "a failover and a restart, with recovery",
        Bounds {
            restarts: 1,
            check_recovery: true,
            ..ONE
        },
    ),
    sound("takeover-two", "two failovers", TWO),
    sound(
        "takeover-skew",
        "a failover between clocks that differ",
        Bounds { skew: 1, ..ONE },
    ),
    sound(
        "takeover-flush",
        "a failover and FLUSHALL",
        Bounds { flushes: 1, ..ONE },
    ),
    sound(
        "takeover-backlog",
        "a failover and a backlog that is dropped",
        Bounds {
            backlog_expiries: 1,
            ..ONE
        },
    ),
    sound(
        "takeover-three",
        "a failover, three clients, late commands, PINGs of replication",
        Bounds {
            clients: 3,
            delay: 1,
            pings: true,
            ..ONE
        },
    ),
];

/// The protocol, where it takes its time.
pub const FULL: &[Variant] = &[
    sound(
        "full-takeover",
        "two failovers, a restart, backlogs that are dropped, late commands, PINGs of replication",
        Bounds {
            restarts: 1,
            backlog_expiries: 2,
            delay: 1,
            pings: true,
            ..TWO
        },
    ),
    sound(
        "full-takeover-skew",
        "two failovers between clocks that differ",
        Bounds { skew: 1, ..TWO },
    ),
    sound(
        "full-takeover-measured",
        "two failovers between clocks whose difference is measured each time, late commands",
        Bounds {
            skew: 1,
            measured: true,
            delay: 1,
            ..TWO
        },
    ),
    sound(
        "full-takeover-revoked",
        "two failovers, leases handed over and released by force",
        Bounds {
            failovers: 2,
            ..REVOKED
        },
    ),
];

/// Every variant.
pub fn all() -> impl Iterator<Item = &'static Variant> {
    [
        SOUND,
        FULL,
        BROKEN,
        FULL_BROKEN,
        ASSUMPTIONS,
        SECOND_GUARDS,
        REVOCATIONS,
    ]
    .into_iter()
    .flatten()
}
