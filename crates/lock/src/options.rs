//! The options of one call, where they differ from the configuration.

use std::sync::Arc;
use std::time::Duration;

use leasehold_config::{LockOptions, Renewal};

use crate::error::{Error, TtlBound};

/// The shortest lease: shorter ones end before they can be renewed.
const SHORTEST_TTL: Duration = Duration::from_millis(100);

/// How to acquire a lease. Options that are not set come from the configuration.
///
/// ```
/// use std::time::Duration;
/// use leasehold::AcquireOptions;
///
/// let patient = AcquireOptions::new()
///     .ttl(Duration::from_secs(10))
///     .timeout(Duration::from_secs(60));
/// # let _ = patient;
/// ```
#[derive(Debug, Clone, Default)]
pub struct AcquireOptions {
    ttl: Option<Duration>,
    timeout: Option<Duration>,
    renewal: Option<Renewal>,
    label: Option<&'static str>,
    pub(crate) owner: Option<Arc<str>>,
}

impl AcquireOptions {
    /// Everything as configured.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The lease length instead of `LOCK_TTL`: from 100 ms up to `LOCK_MAX_TTL`.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// How long to wait for the lease instead of `LOCK_ACQUIRE_TIMEOUT`. With [`Duration::ZERO`]
    /// Redis is asked once and its answer awaited; with [`Duration::MAX`] the wait has no end.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How to renew instead of `LOCK_RENEW_INTERVAL`: at least 1 ms apart. An interval above a third
    /// of the lease length counts as that third.
    #[must_use]
    pub fn renewal(mut self, renewal: Renewal) -> Self {
        self.renewal = Some(renewal);
        self
    }

    /// The value of the label `lock` of the metrics; empty if not set. Resource names are not
    /// labels, because their cardinality is unbounded: choose one word for all that are alike.
    #[must_use]
    pub fn label(mut self, label: &'static str) -> Self {
        self.label = Some(label);
        self
    }

    /// The owner that `leasehold status` shows for this lease, instead of `LOCK_OWNER`: such as the
    /// name of the job, where one worker runs many.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<Arc<str>>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// These options, and those that are set in `other` in their place.
    pub(crate) fn overridden_by(self, other: &Self) -> Self {
        Self {
            ttl: other.ttl.or(self.ttl),
            timeout: other.timeout.or(self.timeout),
            renewal: other.renewal.or(self.renewal),
            owner: other.owner.clone().or(self.owner),
            label: other.label.or(self.label),
        }
    }

    pub(crate) fn resolve(&self, configured: &LockOptions) -> Result<Terms, Error> {
        let ttl = self.ttl.unwrap_or(configured.ttl);
        let bound = if ttl < SHORTEST_TTL {
            Some(TtlBound::TooShort {
                least: SHORTEST_TTL,
            })
        } else if ttl > configured.max_ttl {
            Some(TtlBound::TooLong {
                most: configured.max_ttl,
            })
        } else {
            None
        };
        if let Some(bound) = bound {
            return Err(Error::Ttl { asked: ttl, bound });
        }
        let renewal = self.renewal.unwrap_or(configured.renewal);
        renewal.check()?;
        let renew_every = match renewal {
            Renewal::Off => None,
            // A shorter lease than configured is renewed sooner than configured.
            Renewal::Every(interval) => Some(interval.min(ttl / 3)),
        };
        let timeout = self.timeout.or(configured.acquire_timeout);
        Ok(Terms {
            ttl,
            renew_every,
            timeout,
            label: self.label.unwrap_or_default(),
        })
    }
}

/// The terms of one lease.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) ttl: Duration,
    pub(crate) renew_every: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) label: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shortest time between two renewals, as in the configuration.
    const SHORTEST_RENEWAL: Duration = Duration::from_millis(1);

    fn bound(ttl: Duration) -> TtlBound {
        let options = AcquireOptions::new().ttl(ttl);
        match options.resolve(&LockOptions::default()) {
            Err(Error::Ttl { asked, bound }) if asked == ttl => bound,
            other => panic!("a bad length: {other:?}"),
        }
    }

    #[test]
    fn lengths_out_of_bounds_are_refused() {
        let least = Duration::from_millis(100);
        assert_eq!(bound(Duration::ZERO), TtlBound::TooShort { least });
        let most = Duration::from_secs(30);
        let longer = Duration::from_secs(31);
        assert_eq!(bound(longer), TtlBound::TooLong { most });
    }

    #[test]
    fn a_lease_is_not_renewed_without_a_pause() {
        for interval in [Duration::ZERO, Duration::from_nanos(999_999)] {
            let options = AcquireOptions::new().renewal(Renewal::Every(interval));
            let refused = options.resolve(&LockOptions::default());
            let Err(Error::Config(error)) = refused else {
                panic!("renews without a pause: {refused:?}");
            };
            assert_eq!(error.problems()[0].variable(), "LOCK_RENEW_INTERVAL");
        }
    }

    #[test]
    fn any_length_of_time_is_refused_or_makes_terms_that_can_be_kept() {
        let lengths = [
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_millis(1),
            Duration::from_millis(100),
            Duration::from_secs(30),
            Duration::from_secs(31),
            Duration::from_secs(u64::MAX),
            Duration::MAX,
        ];
        for ttl in lengths {
            for every in lengths {
                for timeout in lengths {
                    let options = AcquireOptions::new()
                        .ttl(ttl)
                        .timeout(timeout)
                        .renewal(Renewal::Every(every));
                    let Ok(terms) = options.resolve(&LockOptions::default()) else {
                        assert!(
                            every < SHORTEST_RENEWAL
                                || every > Duration::from_secs(365 * 24 * 60 * 60)
                                || ttl < SHORTEST_TTL
                                || ttl > Duration::from_secs(30)
                        );
                        continue;
                    };
                    let renewed = terms.renew_every.expect("a renewal");
                    assert!(renewed >= SHORTEST_RENEWAL && renewed <= terms.ttl / 3);
                    assert_eq!(terms.timeout, Some(timeout));
                }
            }
        }
    }

    #[test]
    fn a_shorter_lease_is_renewed_sooner() {
        let options = AcquireOptions::new().ttl(Duration::from_secs(3));
        let terms = options
            .resolve(&LockOptions::default())
            .expect("good terms");
        assert_eq!(terms.renew_every, Some(Duration::from_secs(1)));
    }

    #[tokio::test]
    async fn a_lease_names_the_owner_that_was_asked_for() {
        let locker = crate::Locker::in_memory(&crate::MemoryStore::new());
        let options = AcquireOptions::new().owner("import-7/run-1");
        let slots = locker.slots("warehouse", 2).expect("slots");
        let _slot = slots.acquire().options(&options).await.expect("a slot");
        let _lease = locker.acquire("report").options(&options).await;
        let holders = slots.inspect().await.expect("the holders");
        let holder = locker.inspect("report").await.expect("an answer");
        for holder in [holders[0].clone(), holder] {
            let owner = holder.and_then(|holder| holder.owner);
            assert_eq!(owner.as_deref(), Some("import-7/run-1"));
        }
    }
}
