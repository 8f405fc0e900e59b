//! What a campaign is given, whichever servers it runs against.

use std::{path::PathBuf, time::Duration};

use crate::client::Protocol;

/// The usual lease length of the clients, and the longest.
pub(crate) const TTL: Duration = Duration::from_millis(1_200);
/// The clients' last round must fit into this: each of their tasks leases every resource once more.
pub(crate) const LAST_ROUND: Duration = Duration::from_secs(90);

/// What to run.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// For how long faults are injected.
    pub length: Duration,
    /// What they are drawn from.
    pub seed: u64,
    /// What the clients do.
    pub protocol: Protocol,
    /// How many there are.
    pub clients: usize,
    /// The program that they run.
    pub program: PathBuf,
    /// Where everything is written.
    pub directory: PathBuf,
}

/// How the clients' leases behave, wherever they are kept.
pub(crate) fn lock_variables() -> Vec<(String, String)> {
    let millis = |span: Duration| format!("{}ms", span.as_millis());
    [
        ("IS_LOCKING_DISABLED", "false".to_owned()),
        ("LOCK_TTL", millis(TTL)),
        ("LOCK_MAX_TTL", millis(TTL)),
        ("LOCK_MAX_CLOCK_SKEW", "1s".to_owned()),
        ("REDIS_CONNECT_TIMEOUT", "500ms".to_owned()),
        ("REDIS_COMMAND_TIMEOUT", "350ms".to_owned()),
        ("LOCK_RETRY_INTERVAL", "250ms".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}
