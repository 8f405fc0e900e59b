//! What is known of one lease while it is held: until when it is valid, and whether it is lost.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::backend::{DataSet, Request};
use crate::clock::{Clock, Moment, validity};
use crate::error::LostReason;
use crate::fence::Fence;
use crate::options::Terms;
use crate::renewal::Purpose;
use crate::resource::Resource;
use crate::telemetry::Holding;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// One lease, shared by its guard and the keeper.
#[derive(Debug)]
pub(crate) struct Held {
    /// Tells the leases of a process apart.
    pub(crate) id: u64,
    pub(crate) resource: Resource,
    pub(crate) request: Request,
    pub(crate) fence: Fence,
    pub(crate) terms: Terms,
    clock: Clock,
    standing: Mutex<Standing>,
    released: AtomicBool,
    lost: CancellationToken,
    reason: OnceLock<LostReason>,
    /// Ended by the release or the loss, whichever comes first.
    pub(crate) telling: Holding,
}

#[derive(Debug)]
struct Standing {
    /// When the last confirmed grant or renewal was *sent*.
    since: Moment,
    /// Where it was confirmed.
    data_set: DataSet,
    /// The incarnation on which a ticket was issued, if one was.
    issued_on: Option<Arc<str>>,
    /// What kept the last renewal from being confirmed.
    hindrance: Option<String>,
}

/// A confirmed grant.
pub(crate) struct Grant {
    pub(crate) sent_at: Moment,
    pub(crate) fence: Fence,
    pub(crate) data_set: DataSet,
}

impl Held {
    pub(crate) fn new(
        resource: Resource,
        request: Request,
        terms: Terms,
        grant: Grant,
        clock: Clock,
    ) -> Self {
        let telling = Holding::begin(&resource, grant.fence, grant.data_set.epoch, terms);
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            resource,
            request,
            fence: grant.fence,
            terms,
            clock,
            standing: Mutex::new(Standing {
                since: grant.sent_at,
                data_set: grant.data_set,
                issued_on: None,
                hindrance: None,
            }),
            released: AtomicBool::new(false),
            lost: CancellationToken::new(),
            reason: OnceLock::new(),
            telling,
        }
    }

    /// What is left until the deadline: zero once the lease is over, for whatever reason.
    pub(crate) fn remaining(&self) -> Duration {
        if self.is_over() {
            return Duration::ZERO;
        }
        self.clock
            .remaining(self.standing().since, validity(self.request.ttl))
    }

    /// When the lease ends without a further renewal, or when it ended for lack of one.
    pub(crate) fn deadline(&self) -> Instant {
        let now = Instant::now();
        let validity = validity(self.request.ttl);
        let age = self.age();
        if age >= validity {
            now.checked_sub(age - validity).unwrap_or(now)
        } else if self.is_over() {
            now
        } else {
            now + (validity - age)
        }
    }

    /// Whether the lease was released or lost.
    pub(crate) fn is_over(&self) -> bool {
        self.is_released() || self.reason.get().is_some()
    }

    /// Whether its holder gave the lease back.
    pub(crate) fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }

    /// Sentinel's configuration epoch of where the lease was last confirmed.
    pub(crate) fn epoch(&self) -> u64 {
        self.standing().data_set.epoch
    }

    /// Time since the last confirmed grant or renewal was sent.
    pub(crate) fn age(&self) -> Duration {
        self.clock.elapsed_since(self.standing().since)
    }

    /// Takes in a renewal that was sent at `sent_at` and confirmed now. One that is confirmed after
    /// the deadline revives nothing; then the answer is `false`.
    pub(crate) fn confirm(&self, purpose: Purpose, sent_at: Moment, data_set: &DataSet) -> bool {
        let mut standing = self.standing();
        let remaining = self
            .clock
            .remaining(standing.since, validity(self.request.ttl));
        if self.is_over() || remaining.is_zero() {
            return false;
        }
        self.telling.margin(remaining, self.request.ttl);
        // Replies may overtake each other: the later sending counts.
        let is_later = self.clock.elapsed_since(sent_at) < self.clock.elapsed_since(standing.since);
        if purpose == Purpose::Prolong && is_later {
            standing.since = sent_at;
        }
        standing.data_set.clone_from(data_set);
        standing.hindrance = None;
        true
    }

    /// Remembers that somebody may take the lease over from now on.
    pub(crate) fn ticket_issued(&self) {
        let mut standing = self.standing();
        let incarnation = standing.data_set.incarnation.clone();
        standing.issued_on.get_or_insert(incarnation);
    }

    /// Whether somebody may have taken the lease over on a master before `now`. A renewal keeps the key
    /// there, so that the ticket stays good, but proves nothing as long as nobody is granted anything: the
    /// other may only be known where it took over.
    pub(crate) fn may_be_adopted_before(&self, now: &DataSet) -> bool {
        let standing = self.standing();
        let issued_on = standing.issued_on.as_ref();
        issued_on.is_some_and(|incarnation| *incarnation != now.incarnation)
    }

    /// Records what kept a renewal from being confirmed, for the error if the lease is lost.
    pub(crate) fn hindered(&self, by: String) {
        self.standing().hindrance = Some(by);
    }

    /// Why the lease is lost if its key is missing on `now`.
    pub(crate) fn missing_on(&self, now: &DataSet) -> LostReason {
        let before = self.standing().data_set.clone();
        if before.incarnation == now.incarnation {
            LostReason::Deleted
        } else if before.epoch == now.epoch {
            // Another life of its data without a failover.
            LostReason::Restart
        } else {
            LostReason::Failover { epoch: now.epoch }
        }
    }

    /// Whether the key cannot have vanished by itself: its time has not passed, and the data are
    /// those in which it was confirmed.
    pub(crate) fn must_be_kept_on(&self, now: &DataSet) -> bool {
        let is_in_time = self.age() < validity(self.request.ttl);
        is_in_time && self.standing().data_set.incarnation == now.incarnation
    }

    /// Why the lease is lost when its deadline has passed.
    pub(crate) fn expiry(&self) -> LostReason {
        LostReason::Expired {
            because: self.standing().hindrance.clone(),
        }
    }

    /// Ends the lease and tells its holder. The first reason stays; after a release it is no loss.
    pub(crate) fn lose(&self, reason: &LostReason) {
        if self.released.load(Ordering::Acquire) {
            return;
        }
        if self.reason.set(reason.clone()).is_ok() {
            self.telling.lost(&self.resource, self.fence, reason);
        }
        self.lost.cancel();
    }

    /// Ends the lease because its holder gives it back. Returns `false` if it was over already.
    pub(crate) fn begin_release(&self) -> bool {
        self.telling.released();
        !self.released.swap(true, Ordering::AcqRel) && self.reason.get().is_none()
    }

    pub(crate) fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    pub(crate) fn reason(&self) -> LostReason {
        self.reason.get().cloned().unwrap_or_else(|| self.expiry())
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
