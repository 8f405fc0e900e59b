//! The Sentinels' settings, compared with each other and with the length of the leases.

use std::time::Duration;

use leasehold::Config;
use leasehold::config::Safety;

use super::{Seen, known};
use crate::doctor::report::{Check, Level, Report};
use crate::duration::shown;

const MAJORITY: Check = ("LH0107", "quorum setting");
const DOWN_AFTER: Check = ("LH0108", "leases outlast a failover");
const PAUSE: Check = ("LH0110", "pause after a failover");

/// From the new master's promotion until a lease is renewed there and confirmed, with a second to spare.
const PROMOTION: Duration = Duration::from_secs(3);
/// The same without the spare second.
const RENEWED: Duration = Duration::from_secs(2);

pub(super) fn examine(config: &Config, seen: &[Seen], report: &mut Report) {
    examine_quorum(seen, report);
    // The most patient Sentinel decides how long a dead master may stay.
    let down_after = seen.iter().map(|seen| seen.view.down_after).max();
    let down_after = down_after.unwrap_or_default();
    if !differs(
        DOWN_AFTER,
        "down-after-milliseconds",
        seen,
        |seen| shown(seen.view.down_after),
        report,
    ) {
        examine_ttl(config, down_after, report);
    }
    examine_pause(config, down_after, report);
}

fn examine_quorum(seen: &[Seen], report: &mut Report) {
    let Some(first) = seen.first() else {
        return;
    };
    if differs(
        MAJORITY,
        "quorum",
        seen,
        |seen| seen.view.quorum.to_string(),
        report,
    ) {
        return;
    }
    let (quorum, all) = (first.view.quorum, known(seen) as u64);
    let told = format!("{quorum} of {all}");
    if quorum > all / 2 + 1 {
        let fix = "one dead Sentinel prevents a failover: SENTINEL SET … quorum to a majority";
        report.warn(MAJORITY, told, fix);
    } else if quorum == 1 && all > 1 {
        let fix =
            "one Sentinel that lost touch starts a failover: SENTINEL SET … quorum to a majority";
        report.warn(MAJORITY, told, fix);
    } else {
        report.pass(MAJORITY, told);
    }
}

/// Warns where the Sentinels have different values of a setting that each has for itself.
fn differs(
    check: Check,
    setting: &str,
    seen: &[Seen],
    value: impl Fn(&Seen) -> String,
    report: &mut Report,
) -> bool {
    let values: Vec<String> = seen.iter().map(&value).collect();
    let is_same = values.windows(2).all(|pair| pair[0] == pair[1]);
    if is_same {
        return false;
    }
    let each: Vec<String> = seen
        .iter()
        .map(|seen| format!("{} has {}", seen.endpoint, value(seen)))
        .collect();
    let told = format!("{setting} differs: {}", each.join(", "));
    let fix = format!(
        "which Sentinel leads decides when there is a failover: SENTINEL SET … {setting} to the same value on each"
    );
    report.warn(check, told, fix);
    true
}

/// A renewal is tried from a third of the lease on, so at the worst moment two thirds are left.
fn examine_ttl(config: &Config, down_after: Duration, report: &mut Report) {
    let ttl = config.lock.ttl;
    let least = (down_after + PROMOTION) * 3 / 2;
    let told = format!(
        "LOCK_TTL {}; a dead master is replaced after {}",
        shown(ttl),
        shown(down_after)
    );
    if ttl >= least {
        return report.pass(DOWN_AFTER, told);
    }
    let fix = format!(
        "leases are lost in a failover: LOCK_TTL of at least {} (1.5 × (down-after-milliseconds + 3 s)), \
         or a lower down-after-milliseconds",
        shown(least)
    );
    report.warn(DOWN_AFTER, told, fix);
}

/// How long nothing new may be granted after the master's death.
fn examine_pause(config: &Config, down_after: Duration, report: &mut Report) {
    let (ttl, longest) = (config.lock.ttl, config.lock.max_ttl);
    if config.lock.safety == Safety::Relaxed {
        let told = format!("about {}", shown(down_after + RENEWED));
        return report.pass(PAUSE, told);
    }
    let told = format!(
        "at most about {}: down-after-milliseconds {}, 2 s, and LOCK_MAX_TTL {}",
        shown(down_after + RENEWED + longest),
        shown(down_after),
        shown(longest)
    );
    let is_needless = longest > ttl * 4 && longest > Duration::from_secs(60);
    let level = if is_needless {
        Level::Warn
    } else {
        Level::Pass
    };
    let fix = "lower LOCK_MAX_TTL to the longest LOCK_TTL that any client asks for, on all clients";
    report.judge(PAUSE, level, told, fix);
}
