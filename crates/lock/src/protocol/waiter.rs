//! Who waits in the queues among processes.

use std::sync::Arc;
use std::time::Duration;

use crate::protocol::keys::{Keys, LockKind};
use crate::protocol::script::{CHANNELS, CLAIM};

/// The name of one locker in every queue, and of the channel over which it is called.
#[derive(Debug, Clone)]
pub(crate) struct Waiter {
    id: Arc<str>,
    /// How long it counts in a queue without asking again.
    counts_for: Duration,
}

impl Waiter {
    pub(crate) fn random(retry_interval: Duration) -> Result<Self, getrandom::Error> {
        let mut random = [0; 8];
        getrandom::fill(&mut random)?;
        Ok(Self {
            id: format!("{:016x}", u64::from_le_bytes(random)).into(),
            // Three polls may go missing, and a claim must be told from a place.
            counts_for: 3 * retry_interval + 2 * CLAIM,
        })
    }

    /// The name of this locker in the queue of some keys: for slots with how many it knows of.
    pub(crate) fn id_in(&self, keys: &Keys) -> String {
        match keys.kind {
            LockKind::Plain => self.id.to_string(),
            LockKind::Slots => format!("{}/{}", self.id, keys.locks.len()),
        }
    }

    pub(crate) fn counts_for(&self) -> Duration {
        self.counts_for
    }

    pub(crate) fn channel(&self) -> String {
        format!("{CHANNELS}{}", self.id)
    }
}
