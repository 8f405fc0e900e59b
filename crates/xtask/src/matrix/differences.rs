//! What is known to differ on a server, and why.

/// A test that cannot pass on some servers.
struct Difference {
    /// The beginning of the names of the servers.
    servers: &'static str,
    test: &'static str,
    reason: &'static str,
}

const DIFFERENCES: [Difference; 2] = [
    Difference {
        servers: "redis-6.2",
        test: "clocks::a_promoted_replica_whose_clock_is_ahead_frees_nothing_that_is_held",
        reason: "it copies an expiry as a length of time, so a clock that is ahead ends nothing early and the attack \
                 cannot be made",
    },
    Difference {
        servers: "redis-6.2",
        test: "too few grants or faults to prove anything",
        reason: "Sentinel's periods cannot be shortened there, so a minute holds few failovers; \
                 `cargo xtask faults --minutes 10` on that server is run by hand",
    },
];

/// Why this test fails on this server, if that is known.
pub(super) fn reason(server: &str, test: &str) -> Option<&'static str> {
    DIFFERENCES
        .iter()
        .find(|known| server.starts_with(known.servers) && test == known.test)
        .map(|known| known.reason)
}
