//! Who holds a resource.

use std::time::Duration;

use crate::backend::ops::Holding;

/// Who holds a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Who holds it: the owner that a Leasehold client gave, or the beginning of a foreign token.
    pub owner: Option<String>,
    /// After how long the key expires unless it is renewed; `None` if it never does.
    pub remaining: Option<Duration>,
    /// For how long, by the holder's clock, against the clock of this process. `None` for a foreign
    /// client.
    pub held_for: Option<Duration>,
    /// How many processes wait in the queue for the resource; `None` if the store has no queue.
    pub waiters: Option<u64>,
    /// Tells this holding from every other, for [`Locker::force_release`](crate::Locker::force_release). It is no secret: the
    /// token cannot be found from it.
    pub id: Option<String>,
}

impl From<Holding> for Holder {
    fn from(holding: Holding) -> Self {
        Self {
            owner: holding.owner,
            remaining: holding.remaining,
            held_for: holding.held_for,
            waiters: holding.waiters,
            id: holding.id,
        }
    }
}
