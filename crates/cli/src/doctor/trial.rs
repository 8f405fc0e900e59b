//! A lock of the doctor's own: taken, renewed, released, as an application would.

use std::time::{Duration, Instant};

use leasehold::{AcquireOptions, Cause, Config, Error, Locker, Released};

use super::report::{Check, Report};
use crate::duration::shown;

const CONNECTED: Check = ("LH0301", "the SDK connects");
const TAKEN: Check = ("LH0302", "a lock is taken");
const RENEWED: Check = ("LH0303", "a lock is renewed");
const RELEASED: Check = ("LH0304", "a lock is released");
const CALLED: Check = ("LH0305", "waiters are notified");
const FORGOTTEN: Check = ("LH0306", "locks that never expire");

pub(super) fn skip(report: &mut Report) {
    for check in [CONNECTED, TAKEN, RENEWED, RELEASED, CALLED, FORGOTTEN] {
        report.skip(check, "no master to ask");
    }
}

pub(super) async fn examine(config: &Config, report: &mut Report) {
    let awaited = || "the SDK to connect".to_owned();
    let connecting = Locker::connect(config.clone());
    let locker = match report.watched(awaited, connecting).await {
        Ok(locker) => locker,
        Err(error) => return fail(CONNECTED, &error, report),
    };
    report.pass(CONNECTED, "yes");
    if let Some(name) = trial_lock(config, &locker, report).await {
        examine_calls(&locker, &name, report).await;
    }
    examine_forgotten(&locker, report).await;
}

/// Returns the name of the lock if all went well.
async fn trial_lock(config: &Config, locker: &Locker, report: &mut Report) -> Option<String> {
    let name = format!("leasehold:doctor:{}", std::process::id());
    let asked = Instant::now();
    let options = AcquireOptions::new().timeout(patience(config, report));
    let awaited = || match locker.obstacle(name.as_str()) {
        Ok(Some(reason)) => format!("a lock: {reason:?}"),
        _ => "a lock".to_owned(),
    };
    let acquiring = locker
        .acquire(name.as_str())
        .options(&options)
        .into_future();
    let lease = match report.watched(awaited, acquiring).await {
        Ok(lease) => lease,
        Err(error) => {
            fail(TAKEN, &error, report);
            return None;
        }
    };
    report.pass(TAKEN, format!("within {}", shown(asked.elapsed())));
    match lease.renew().await {
        Ok(()) => report.pass(RENEWED, "yes"),
        Err(error) => fail(RENEWED, &error, report),
    }
    match lease.release().await {
        Ok(Released::Released) => report.pass(RELEASED, "yes"),
        Ok(other) => {
            let fix = "somebody else deletes keys here: look for FLUSHALL and evictions";
            report.fail(RELEASED, format!("another client had it: {other:?}"), fix);
            return None;
        }
        Err(error) => {
            fail(RELEASED, &error, report);
            return None;
        }
    }
    Some(name)
}

/// A gate that a failover closed opens after one lease at the latest. Where a check has failed already, the lock
/// only shows whether that stands in the way.
fn patience(config: &Config, report: &Report) -> Duration {
    if report.has_failed() {
        return Duration::from_secs(4);
    }
    config.lock.max_ttl + Duration::from_secs(2)
}

/// Two who want the same: the second is called when the first releases, or has to poll.
async fn examine_calls(locker: &Locker, name: &str, report: &mut Report) {
    let options = AcquireOptions::new().timeout(Duration::from_secs(5));
    let (Ok(first), second) = (locker.acquire(name).options(&options).await, locker.clone()) else {
        return report.skip(CALLED, "the lock was not free");
    };
    let waiting = async {
        let lease = second.acquire(name).options(&options).await?;
        let at = Instant::now();
        lease.release().await.map(|_| at)
    };
    let releasing = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let at = Instant::now();
        first.release().await.map(|_| at)
    };
    match tokio::join!(waiting, releasing) {
        (Ok(taken), Ok(released)) => {
            let late = taken.saturating_duration_since(released);
            report.pass(
                CALLED,
                format!("taken over {} after the release", shown(late)),
            );
        }
        (Err(error), _) | (_, Err(error)) => fail(CALLED, &error, report),
    }
}

async fn examine_forgotten(locker: &Locker, report: &mut Report) {
    let mut found = Vec::new();
    let mut start = Some(0);
    while let Some(at) = start {
        let Ok(page) = locker.list("*", at).await else {
            return report.skip(FORGOTTEN, "this user may not run SCAN, and need not");
        };
        let stuck = page.found.iter();
        let stuck = stuck.filter(|listed| listed.is_lock && listed.holder.remaining.is_none());
        found.extend(stuck.map(|listed| listed.name.clone()));
        start = page.next;
    }
    match found.as_slice() {
        [] => report.pass(FORGOTTEN, "none"),
        names => report.warn(
            FORGOTTEN,
            names.join(", "),
            "nobody will ever free them: `leasehold release --force`",
        ),
    }
}

fn fail(check: Check, error: &Error, report: &mut Report) {
    match error.unavailable() {
        Some(unavailable) => {
            if let Cause::NoPermission { detail } = unavailable.cause() {
                let told = format!("the user lacks a permission ({detail})");
                let fix = "ACL SETUSER with the rules of config/users.acl";
                return report.fail(check, told, fix);
            }
            report.fail_with(check, unavailable);
        }
        None => report.fail(check, format!("{error:?}"), "see the message"),
    }
}
