//! The variables that say how leases behave.

use std::time::Duration;

use crate::lock_options::{
    DEFAULT_RETRY_INTERVAL, DEFAULT_TTL, LockOptions, Renewal, default_renewal,
};
use crate::parse;
use crate::raw::Raw;
use crate::reader::Reader;

/// Everything but the safety, whose default depends on the servers.
pub(super) fn read(reader: &mut Reader, raw: &Raw) -> LockOptions {
    let mut options = LockOptions::default();
    let ttl = reader.duration("LOCK_TTL", raw.lock_ttl.as_deref(), "30s");
    options.ttl = ttl.unwrap_or(DEFAULT_TTL);
    reader.default("LOCK_TTL", shown(options.ttl));

    let max_ttl = reader.duration("LOCK_MAX_TTL", raw.lock_max_ttl.as_deref(), "30s");
    options.max_ttl = max_ttl.unwrap_or(DEFAULT_TTL.max(options.ttl));
    reader.default("LOCK_MAX_TTL", shown(options.max_ttl));

    options.renewal = read_renewal(reader, raw, options.ttl);
    options.acquire_timeout = read_acquire_timeout(reader, raw);
    let retry = raw.lock_retry_interval.as_deref();
    let retry = reader.duration("LOCK_RETRY_INTERVAL", retry, "5s");
    options.retry_interval = retry.unwrap_or(DEFAULT_RETRY_INTERVAL);
    reader.default("LOCK_RETRY_INTERVAL", shown(options.retry_interval));

    let prefix = raw.lock_key_prefix.as_deref();
    let prefix = reader.read("LOCK_KEY_PREFIX", prefix, |name, text| {
        parse::name(name, text, "orders:")
    });
    options.key_prefix = prefix.unwrap_or_default();
    reader.default("LOCK_KEY_PREFIX", "");

    let owner = raw.lock_owner.as_deref();
    let owner = reader.read("LOCK_OWNER", owner, |name, text| {
        parse::name(name, text, "worker-1")
    });
    options.owner = owner.unwrap_or(options.owner);
    reader.default("LOCK_OWNER", options.owner.clone());
    options
}

fn read_renewal(reader: &mut Reader, raw: &Raw, ttl: Duration) -> Renewal {
    let text = raw.lock_renew_interval.as_deref();
    reader.warn_of_milliseconds("LOCK_RENEW_INTERVAL", text);
    let renewal = reader.read("LOCK_RENEW_INTERVAL", text, parse::renewal);
    reader.default("LOCK_RENEW_INTERVAL", shown(default_renewal(ttl)));
    match renewal {
        Some(Renewal::Every(interval)) if interval > ttl / 2 && interval < ttl => {
            let message =
                "is more than half of LOCK_TTL, so that one failed renewal loses the lease";
            reader.warn("LOCK_RENEW_INTERVAL", message);
        }
        _ => {}
    }
    renewal.unwrap_or(Renewal::Every(default_renewal(ttl)))
}

fn read_acquire_timeout(reader: &mut Reader, raw: &Raw) -> Option<Duration> {
    let text = raw.lock_acquire_timeout.as_deref();
    reader.warn_of_milliseconds("LOCK_ACQUIRE_TIMEOUT", text);
    let timeout = reader.read("LOCK_ACQUIRE_TIMEOUT", text, parse::acquire_timeout);
    reader.default("LOCK_ACQUIRE_TIMEOUT", "none");
    timeout.flatten()
}

/// As `LOCK_TTL` and the others read it.
pub(super) fn shown(duration: Duration) -> String {
    format!("{duration:?}")
}
