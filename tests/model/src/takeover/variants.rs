//! The configurations: the protocol's, and by way of `broken` and `revoked` each rule removed.

use super::Bounds;
pub use super::broken::{BROKEN, SECOND_GUARDS};
pub use super::revoked::REVOCATIONS;
pub use super::variant::Variant;
use super::variant::{ONE, TWO, sound};

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

/// Every variant.
pub fn all() -> impl Iterator<Item = &'static Variant> {
    [SOUND, BROKEN, SECOND_GUARDS, REVOCATIONS]
        .into_iter()
        .flatten()
}
