//! What code sets with typed values, above every source of texts.

use std::time::Duration;

use crate::lock_options::{Renewal, Safety};
use crate::topology::Locking;

#[derive(Clone, Default)]
pub(crate) struct Overrides {
    pub(crate) locking: Option<Locking>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) max_ttl: Option<Duration>,
    pub(crate) max_clock_skew: Option<Duration>,
    pub(crate) allow_mixed_safety: Option<bool>,
    pub(crate) renewal: Option<Renewal>,
    /// `Some(None)`: wait without limit.
    pub(crate) acquire_timeout: Option<Option<Duration>>,
    pub(crate) retry_interval: Option<Duration>,
    pub(crate) safety: Option<Safety>,
    pub(crate) key_prefix: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) client_name: Option<String>,
}

impl Overrides {
    /// The variables whose values are overridden, with the value as it would be written.
    pub(crate) fn shown(&self) -> Vec<(&'static str, String)> {
        let timeout = |timeout: Option<Duration>| timeout.map_or("none".to_owned(), written);
        let all = [
            ("LOCK_TTL", self.ttl.map(written)),
            ("LOCK_MAX_TTL", self.max_ttl.map(written)),
            ("LOCK_MAX_CLOCK_SKEW", self.max_clock_skew.map(written)),
            (
                "LOCK_ALLOW_MIXED_SAFETY",
                self.allow_mixed_safety.map(|allowed| allowed.to_string()),
            ),
            ("LOCK_RENEW_INTERVAL", self.renewal.map(written_renewal)),
            ("LOCK_ACQUIRE_TIMEOUT", self.acquire_timeout.map(timeout)),
            ("LOCK_RETRY_INTERVAL", self.retry_interval.map(written)),
            ("LOCK_SAFETY", self.safety.map(|s| s.word().to_owned())),
            ("LOCK_KEY_PREFIX", self.key_prefix.clone()),
            ("LOCK_OWNER", self.owner.clone()),
            ("REDIS_CLIENT_NAME", self.client_name.clone()),
        ];
        all.into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

/// A duration as the variables are written, to the nanosecond.
pub(crate) fn written(duration: Duration) -> String {
    format!("{duration:?}")
}

fn written_renewal(renewal: Renewal) -> String {
    match renewal {
        Renewal::Every(interval) => written(interval),
        Renewal::Off => "off".to_owned(),
    }
}
