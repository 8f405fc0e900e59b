//! What is known of one lease while it is held: until when it is valid, and whether it is lost.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::backend::ops::{DataSet, Request};
use crate::clock::{Clock, Moment, later_std, validity};
use crate::error::LostReason;
use crate::fence::Fence;
use crate::lifecycle::stop::StopSignal;
use crate::options::Terms;
use crate::resource::Resource;
use crate::sync::Mutex;
use crate::telemetry::{About, Granted, HoldSpan};

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// What a renewal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A whole TTL from now on.
    Prolong,
    /// Not one moment more, only the certainty that the key is there: after a failover, for a lease
    /// that is not renewed.
    Verify,
}

/// One lease, shared by its guard and the lease scheduler.
#[derive(Debug)]
pub(crate) struct LeaseState {
    /// Tells the leases of a process apart.
    pub(crate) id: u64,
    pub(crate) resource: Resource,
    pub(crate) request: Request,
    pub(crate) fence: Fence,
    pub(crate) terms: Terms,
    clock: Clock,
    stop: StopSignal,
    confirmation: Mutex<LastConfirmation>,
    released: AtomicBool,
    lost: CancellationToken,
    reason: OnceLock<LostReason>,
    /// Ended by the release or the loss, whichever comes first.
    pub(crate) span: HoldSpan,
}

#[derive(Debug)]
struct LastConfirmation {
    /// When the last confirmed grant or renewal was *sent*.
    since: Moment,
    /// Where it was confirmed.
    data_set: DataSet,
    /// The incarnation on which a ticket was issued, if one was.
    issued_on: Option<Arc<str>>,
    /// What kept the last renewal from being confirmed.
    renewal_error: Option<String>,
}

/// A confirmed grant.
pub(crate) struct Grant {
    pub(crate) sent_at: Moment,
    pub(crate) fence: Fence,
    pub(crate) data_set: DataSet,
}

impl Granted for Arc<LeaseState> {
    fn fence(&self) -> Fence {
        self.fence
    }

    fn epoch(&self) -> u64 {
        LeaseState::epoch(self)
    }
}

impl LeaseState {
    pub(crate) fn new(
        resource: Resource,
        request: Request,
        terms: Terms,
        grant: Grant,
        clock: Clock,
        stop: StopSignal,
    ) -> Self {
        let span = HoldSpan::begin(&resource, grant.fence, grant.data_set.epoch, terms);
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            resource,
            request,
            fence: grant.fence,
            terms,
            clock,
            stop,
            confirmation: Mutex::new(LastConfirmation {
                since: grant.sent_at,
                data_set: grant.data_set,
                issued_on: None,
                renewal_error: None,
            }),
            released: AtomicBool::new(false),
            lost: CancellationToken::new(),
            reason: OnceLock::new(),
            span,
        }
    }

    /// What telemetry tells of it.
    pub(crate) fn about(&self) -> About<'_> {
        About {
            resource: &self.resource,
            fence: self.fence,
            held: &self.span,
        }
    }

    /// What is left until the deadline: zero once the lease is over, for whatever reason.
    pub(crate) fn remaining(&self) -> Duration {
        if self.is_over() {
            return Duration::ZERO;
        }
        self.clock
            .remaining(self.confirmation.lock().since, validity(self.request.ttl))
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
            later_std(now, validity - age)
        }
    }

    /// Whether the lease was released or lost, or belongs to the parent of this process.
    pub(crate) fn is_over(&self) -> bool {
        self.is_released() || self.reason.get().is_some() || self.stop.is_forked()
    }

    /// Whether the lease ended with its locker, which has it released.
    pub(crate) fn ended_with_locker(&self) -> bool {
        matches!(
            self.reason(),
            LostReason::Closed | LostReason::RuntimeEnded | LostReason::Forked
        )
    }

    /// Whether its holder gave the lease back.
    pub(crate) fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }

    /// Sentinel's configuration epoch of where the lease was last confirmed.
    pub(crate) fn epoch(&self) -> u64 {
        self.confirmation.lock().data_set.epoch
    }

    /// Time since the last confirmed grant or renewal was sent.
    pub(crate) fn age(&self) -> Duration {
        self.clock.elapsed_since(self.confirmation.lock().since)
    }

    /// Takes in a renewal that was sent at `sent_at` and confirmed now. One that is confirmed after
    /// the deadline revives nothing; then the answer is `false`.
    pub(crate) fn confirm(&self, purpose: Purpose, sent_at: Moment, data_set: &DataSet) -> bool {
        let mut confirmation = self.confirmation.lock();
        let remaining = self
            .clock
            .remaining(confirmation.since, validity(self.request.ttl));
        if self.is_over() || remaining.is_zero() {
            return false;
        }
        self.span.margin(remaining, self.request.ttl);
        // Replies may overtake each other: the later sending counts.
        let is_later =
            self.clock.elapsed_since(sent_at) < self.clock.elapsed_since(confirmation.since);
        if purpose == Purpose::Prolong && is_later {
            confirmation.since = sent_at;
        }
        confirmation.data_set.clone_from(data_set);
        confirmation.renewal_error = None;
        true
    }

    /// Remembers that somebody may take the lease over from now on.
    pub(crate) fn ticket_issued(&self) {
        let mut confirmation = self.confirmation.lock();
        let incarnation = confirmation.data_set.incarnation.clone();
        confirmation.issued_on.get_or_insert(incarnation);
    }

    /// Whether somebody may have taken the lease over on a master before `now`. A renewal keeps the key
    /// there, so that the ticket stays good, but proves nothing as long as nobody is granted anything: the
    /// other may only be known where it took over.
    pub(crate) fn may_be_adopted_before(&self, now: &DataSet) -> bool {
        let confirmation = self.confirmation.lock();
        let issued_on = confirmation.issued_on.as_ref();
        issued_on.is_some_and(|incarnation| *incarnation != now.incarnation)
    }

    /// Records what kept a renewal from being confirmed, for the error if the lease is lost.
    pub(crate) fn renewal_failed(&self, by: String) {
        self.confirmation.lock().renewal_error = Some(by);
    }

    /// Why the lease is lost if its key is missing on `now`.
    pub(crate) fn missing_on(&self, now: &DataSet) -> LostReason {
        // By now it may have expired by itself, while this process or its renewal stood still.
        if self.age() >= validity(self.request.ttl) {
            return self.expiry();
        }
        let before = self.confirmation.lock().data_set.clone();
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
        is_in_time && self.confirmation.lock().data_set.incarnation == now.incarnation
    }

    /// Why the lease is lost when its deadline has passed.
    pub(crate) fn expiry(&self) -> LostReason {
        LostReason::Expired {
            because: self.confirmation.lock().renewal_error.clone(),
        }
    }

    /// Ends the lease and tells its holder. The first reason stays; after a release it is no loss.
    pub(crate) fn lose(&self, reason: &LostReason) {
        if self.released.load(Ordering::Acquire) {
            return;
        }
        if self.reason.set(reason.clone()).is_ok() {
            self.span.lost(&self.resource, self.fence, reason);
        }
        self.lost.cancel();
    }

    /// Ends the lease because its holder gives it back. Returns `false` if it was over already.
    pub(crate) fn begin_release(&self) -> bool {
        self.span.released();
        !self.released.swap(true, Ordering::AcqRel) && self.reason.get().is_none()
    }

    /// Waits until the lease is lost, and tells why.
    ///
    /// Cancel safe.
    pub(crate) async fn loss(&self) -> LostReason {
        if !self.stop.is_forked() {
            self.lost.cancelled().await;
        }
        self.reason()
    }

    pub(crate) fn reason(&self) -> LostReason {
        if self.stop.is_forked() {
            return LostReason::Forked;
        }
        self.reason.get().cloned().unwrap_or_else(|| self.expiry())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use leasehold_config::LockOptions;

    use super::*;
    use crate::options::AcquireOptions;
    use crate::protocol::keys::Keys;
    use crate::token::Token;

    pub(in crate::lifecycle) fn held(clock: Clock) -> LeaseState {
        let resource = Resource::new("report").expect("a name");
        let terms = AcquireOptions::new().resolve(&LockOptions::default());
        let terms = terms.expect("good terms");
        let request = Request {
            keys: Arc::new(Keys::new("", &resource).expect("keys")),
            token: Token::random("owner", None).expect("a token"),
            ttl: terms.ttl,
            slot: Some(0),
            waits: false,
            is_repeated: false,
            proposal: None,
        };
        let grant = Grant {
            sent_at: clock.now(),
            fence: Fence::try_from(1).expect("a fence"),
            data_set: DataSet::local(),
        };
        LeaseState::new(resource, request, terms, grant, clock, StopSignal::new())
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_gone_was_deleted_only_if_it_cannot_have_expired() {
        let held = held(Clock::runtime());
        assert_eq!(held.missing_on(&DataSet::local()), LostReason::Deleted);
        tokio::time::advance(held.request.ttl).await;
        assert_eq!(
            held.missing_on(&DataSet::local()),
            LostReason::Expired { because: None }
        );
    }

    fn on(incarnation: &str, epoch: u64) -> DataSet {
        DataSet {
            incarnation: Arc::from(incarnation),
            epoch,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_over_is_revived_by_no_confirmation() {
        let clock = Clock::runtime();
        let (lost, released, late) = (held(clock), held(clock), held(clock));
        lost.lose(&LostReason::Deleted);
        assert!(!lost.confirm(Purpose::Prolong, clock.now(), &DataSet::local()));
        assert!(released.begin_release() && !released.begin_release());
        assert!(!released.confirm(Purpose::Prolong, clock.now(), &DataSet::local()));
        released.lose(&LostReason::Deleted);
        assert!(released.reason.get().is_none(), "a release is no loss");
        tokio::time::advance(validity(late.request.ttl)).await;
        assert!(late.remaining().is_zero() && !late.is_over());
        assert!(!late.confirm(Purpose::Prolong, clock.now(), &DataSet::local()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_latest_sending_counts_and_verifying_prolongs_nothing() {
        let clock = Clock::runtime();
        let held = held(clock);
        let second = Duration::from_secs(1);
        tokio::time::advance(second).await;
        let earlier = clock.now();
        assert!(held.confirm(Purpose::Verify, earlier, &on("a", 1)));
        assert_eq!(held.age(), second);
        tokio::time::advance(second).await;
        assert!(held.confirm(Purpose::Prolong, clock.now(), &on("a", 1)));
        assert!(held.confirm(Purpose::Prolong, earlier, &on("a", 1)));
        assert_eq!(held.age(), Duration::ZERO);
        assert_eq!(held.remaining(), validity(held.request.ttl));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_missing_key_means_is_told_by_where_it_was_confirmed() {
        let clock = Clock::runtime();
        let held = held(clock);
        held.renewal_failed("no answer".to_owned());
        assert!(held.confirm(Purpose::Prolong, clock.now(), &on("a", 3)));
        assert_eq!(held.expiry(), LostReason::Expired { because: None });
        assert_eq!(held.epoch(), 3);
        assert_eq!(held.missing_on(&on("a", 3)), LostReason::Deleted);
        assert_eq!(held.missing_on(&on("b", 3)), LostReason::Restart);
        assert_eq!(
            held.missing_on(&on("b", 4)),
            LostReason::Failover { epoch: 4 }
        );
        assert!(held.must_be_kept_on(&on("a", 3)) && !held.must_be_kept_on(&on("b", 3)));
        assert!(
            !held.may_be_adopted_before(&on("b", 4)),
            "there is no ticket"
        );
        held.ticket_issued();
        assert!(
            held.may_be_adopted_before(&on("b", 4)) && !held.may_be_adopted_before(&on("a", 3))
        );
        tokio::time::advance(held.request.ttl).await;
        assert!(!held.must_be_kept_on(&on("a", 3)));
    }
}
