//! What is known to differ on a server, and why.

/// A test that cannot pass on some servers.
struct Difference {
    /// The beginning of the names of the servers.
    servers: &'static str,
    test: &'static str,
    reason: &'static str,
}

const DIFFERENCES: [Difference; 0] = [];

/// Why this test fails on this server, if that is known.
pub(super) fn reason(server: &str, test: &str) -> Option<&'static str> {
    DIFFERENCES
        .iter()
        .find(|known| server.starts_with(known.servers) && test == known.test)
        .map(|known| known.reason)
}
