//! A lease in writing, to hand it from one process to another.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::fence::Fence;
use crate::lifecycle::lease_state::LeaseState;

/// A lease that another process can take over with [`Locker::adopt`](crate::Locker::adopt).
///
/// It can be serialised with `serde`. With it the lease can be taken over or released, so
/// treat it like a password; `Debug` does not show its token.
#[derive(Clone, Serialize, Deserialize)]
pub struct Ticket {
    /// What the other fields mean. Tickets without a version have the first.
    #[serde(default = "first_version")]
    pub(crate) version: u32,
    pub(crate) resource: String,
    pub(crate) token: String,
    pub(crate) fence: i64,
    pub(crate) ttl_ms: u64,
    /// The slot and how many there were, unless the resource has one holder at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) slot: Option<(usize, usize)>,
}

/// What is written and read today.
const VERSION: u32 = 1;

fn first_version() -> u32 {
    1
}

impl Ticket {
    /// Refuses a ticket whose fields may mean something else.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.version == VERSION {
            return Ok(());
        }
        Err(Error::TicketVersion {
            found: self.version,
            known: VERSION,
        })
    }

    pub(crate) fn of(held: &LeaseState) -> Self {
        let slots = held.request.keys.locks.len();
        let is_single = held.request.keys.locks.first() == Some(&held.request.keys.name);
        let slot = held.request.slot.unwrap_or_default();
        Self {
            version: VERSION,
            resource: held.resource.as_str().to_owned(),
            token: held.request.token.reveal().to_owned(),
            fence: held.fence.as_i64(),
            ttl_ms: u64::try_from(held.request.ttl.as_millis()).unwrap_or(u64::MAX),
            slot: (!is_single).then_some((slot, slots)),
        }
    }

    /// The name of the leased resource.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The fence of the lease before it is taken over; the adopted lease has a greater one.
    ///
    /// `None` if the ticket was tampered with.
    #[must_use]
    pub fn fence(&self) -> Option<Fence> {
        Fence::try_from(self.fence).ok()
    }

    /// The length of the lease after it is taken over.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl_ms)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("resource", &self.resource)
            .field("fence", &self.fence)
            .field("ttl", &self.ttl())
            .finish_non_exhaustive()
    }
}
