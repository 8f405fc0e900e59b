//! What an activity must hold while it runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What an activity must hold while it runs.
///
/// Without [`max_locks`](Self::max_locks) the lock has one holder at a time and shares its key with
/// [`Locker::acquire`](leasehold::Locker::acquire) of the same name. With it, even with 1, it is a
/// slot of [`Locker::slots`](leasehold::Locker::slots), the layout of Atlan's `@needs_lock`.
///
/// ```
/// use std::time::Duration;
/// use leasehold_temporal::NeedsLock;
///
/// let needs = NeedsLock::new("warehouse-{0}")
///     .max_locks(2)
///     .wait(Duration::from_secs(20));
/// # let _ = needs;
/// ```
///
/// As JSON: `{"name": "warehouse-7", "max_locks": 2, "wait_ms": 20000}`; all but the name may be left
/// out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeedsLock {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_locks: Option<usize>,
    #[serde(rename = "wait_ms", with = "milliseconds", default)]
    pub(crate) wait: Option<Duration>,
    #[serde(rename = "ttl_ms", with = "milliseconds", default)]
    pub(crate) ttl: Option<Duration>,
}

impl NeedsLock {
    /// A lock of this name. The name may contain
    ///
    /// | placeholder | value |
    /// | --- | --- |
    /// | `{workflow_id}`, `{run_id}` | the workflow that started the activity |
    /// | `{activity_type}` | the activity's type |
    /// | `{0}`, `{1}` | an argument: text, a number or a truth value |
    /// | `{0.warehouse.id}` | a field of an argument |
    ///
    /// Arguments are known to the interceptor alone; inside an activity, format the name yourself.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            max_locks: None,
            wait: None,
            ttl: None,
        }
    }

    /// How many may hold it at a time: 1 to 1,000.
    #[must_use]
    pub fn max_locks(mut self, most: usize) -> Self {
        self.max_locks = Some(most);
        self
    }

    /// How long one attempt of the activity waits. By default half of the attempt's time, or
    /// `LOCK_ACQUIRE_TIMEOUT` where the attempt has no end; in the interceptor, which cannot record
    /// heartbeats, at most half of the heartbeat timeout.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// The length of the lease instead of `LOCK_TTL`, at most `LOCK_MAX_TTL`. A ticket needs one
    /// that covers the time between two activities.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }
}

/// Durations as whole milliseconds, which every language can write.
mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let milliseconds =
            duration.map(|duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
        milliseconds.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::deserialize(deserializer)?.map(Duration::from_millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_travels_as_json() {
        let text = r#"{"name":"warehouse-7","max_locks":2,"wait_ms":1500}"#;
        let read: NeedsLock = serde_json::from_str(text).expect("JSON");
        let meant = NeedsLock::new("warehouse-7").max_locks(2);
        let meant = meant.wait(Duration::from_millis(1500));
        assert_eq!(read, meant);
        let written = serde_json::to_string(&meant).expect("JSON");
        assert_eq!(
            serde_json::from_str::<NeedsLock>(&written).ok(),
            Some(meant)
        );
        assert!(serde_json::from_str::<NeedsLock>(r#"{"name":"a","maxlocks":2}"#).is_err());
    }
}
