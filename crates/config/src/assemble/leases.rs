//! The variables that say how leases behave.

use std::time::Duration;

use crate::lock_options::{
    DEFAULT_RETRY_INTERVAL, DEFAULT_TTL, LockOptions, Renewal, default_renewal,
};
use crate::overrides::{Overrides, written};
use crate::parse;
use crate::raw::Raw;
use crate::reader::Reader;

/// Everything but the safety, whose default depends on the servers.
pub(super) fn read(reader: &mut Reader, raw: &Raw, overrides: &Overrides) -> LockOptions {
    let mut options = LockOptions::default();
    let ttl = reader.duration("LOCK_TTL", raw.lock_ttl.as_deref(), "30s");
    options.ttl = overrides.ttl.or(ttl).unwrap_or(DEFAULT_TTL);
    reader.default("LOCK_TTL", written(options.ttl));

    let max_ttl = reader.duration("LOCK_MAX_TTL", raw.lock_max_ttl.as_deref(), "30s");
    let max_ttl = overrides.max_ttl.or(max_ttl);
    options.max_ttl = max_ttl.unwrap_or(DEFAULT_TTL.max(options.ttl));
    reader.default("LOCK_MAX_TTL", written(options.max_ttl));

    let renewal = read_renewal(reader, raw);
    options.renewal = overrides
        .renewal
        .or(renewal)
        .unwrap_or(Renewal::Every(default_renewal(options.ttl)));
    warn_of_renewal(reader, options.renewal, options.ttl);
    reader.default("LOCK_RENEW_INTERVAL", written(default_renewal(options.ttl)));

    let timeout = read_acquire_timeout(reader, raw);
    options.acquire_timeout = overrides.acquire_timeout.unwrap_or(timeout);
    let retry = raw.lock_retry_interval.as_deref();
    let retry = reader.duration("LOCK_RETRY_INTERVAL", retry, "5s");
    let retry = overrides.retry_interval.or(retry);
    options.retry_interval = retry.unwrap_or(DEFAULT_RETRY_INTERVAL);
    reader.default("LOCK_RETRY_INTERVAL", written(options.retry_interval));
    let skew = raw.lock_max_clock_skew.as_deref();
    let skew = reader.duration("LOCK_MAX_CLOCK_SKEW", skew, "500ms");
    let skew = overrides.max_clock_skew.or(skew);
    options.max_clock_skew = skew.unwrap_or(options.max_clock_skew);
    reader.default("LOCK_MAX_CLOCK_SKEW", written(options.max_clock_skew));
    let mixed = raw.lock_allow_mixed_safety.as_deref();
    let mixed = reader.read("LOCK_ALLOW_MIXED_SAFETY", mixed, parse::boolean);
    options.allow_mixed_safety = overrides.allow_mixed_safety.or(mixed).unwrap_or(false);
    reader.default("LOCK_ALLOW_MIXED_SAFETY", "false");
    read_names(reader, raw, overrides, &mut options);
    options
}

fn read_names(reader: &mut Reader, raw: &Raw, overrides: &Overrides, options: &mut LockOptions) {
    let prefix = raw.lock_key_prefix.as_deref();
    let prefix = reader.read("LOCK_KEY_PREFIX", prefix, |name, text| {
        parse::name(name, text, "orders:")
    });
    let prefix = overrides.key_prefix.clone().or(prefix);
    options.key_prefix = prefix.unwrap_or_default();
    reader.default("LOCK_KEY_PREFIX", "");

    let owner = raw.lock_owner.as_deref();
    let owner = reader.read("LOCK_OWNER", owner, |name, text| {
        parse::name(name, text, "worker-1")
    });
    if let Some(owner) = overrides.owner.clone().or(owner) {
        options.owner = owner;
    }
    reader.default("LOCK_OWNER", options.owner.clone());
}

fn read_renewal(reader: &mut Reader, raw: &Raw) -> Option<Renewal> {
    let text = raw.lock_renew_interval.as_deref();
    reader.warn_of_milliseconds("LOCK_RENEW_INTERVAL", text);
    reader.read("LOCK_RENEW_INTERVAL", text, parse::renewal)
}

fn warn_of_renewal(reader: &mut Reader, renewal: Renewal, ttl: Duration) {
    match renewal {
        Renewal::Every(interval) if interval > ttl / 2 && interval < ttl => {
            let message =
                "is more than half of LOCK_TTL, so that one failed renewal loses the lease";
            reader.warn("LOCK_RENEW_INTERVAL", message);
        }
        _ => {}
    }
}

fn read_acquire_timeout(reader: &mut Reader, raw: &Raw) -> Option<Duration> {
    let text = raw.lock_acquire_timeout.as_deref();
    reader.warn_of_milliseconds("LOCK_ACQUIRE_TIMEOUT", text);
    let timeout = reader.read("LOCK_ACQUIRE_TIMEOUT", text, parse::acquire_timeout);
    reader.default("LOCK_ACQUIRE_TIMEOUT", "none");
    timeout.flatten()
}
