//! Memory and disk: whether the node keeps what it is given.

use super::Subject;
use super::report::{Check, Level, Report};
use crate::servers::{field, number};

const EVICTION: Check = ("LH0206", "eviction");
const MEMORY: Check = ("LH0207", "memory left");
const WRITABLE: Check = ("LH0208", "disk errors");
const LOADING: Check = ("LH0210", "data loaded");

pub(super) fn examine(subject: &Subject<'_>, report: &mut Report) {
    let info = &subject.info;
    if info.is_empty() {
        return;
    }
    let loading = number(info, "loading") != 0 || number(info, "async_loading") != 0;
    let level = if loading { Level::Fail } else { Level::Pass };
    let told = if loading {
        "it is still loading"
    } else {
        "yes"
    };
    report.judge(
        LOADING,
        level,
        told.to_owned(),
        "wait until it has loaded its data",
    );
    examine_eviction(info, report);
    examine_memory(info, report);
    examine_disk(info, report);
}

fn examine_eviction(info: &str, report: &mut Report) {
    let policy = field(info, "maxmemory_policy").unwrap_or_default();
    let (limit, evicted) = (number(info, "maxmemory"), number(info, "evicted_keys"));
    let level = match (policy.as_str(), limit) {
        ("noeviction" | "", _) => Level::Pass,
        (_, 0) => Level::Warn,
        _ => Level::Fail,
    };
    // Locks are exactly the keys that `volatile-*` evicts: all of them have an expiry.
    report.judge(
        EVICTION,
        level,
        format!("maxmemory-policy {policy}, maxmemory {limit}, {evicted} keys evicted so far"),
        "an evicted lock lets a second holder in: CONFIG SET maxmemory-policy noeviction",
    );
}

fn examine_memory(info: &str, report: &mut Report) {
    let (used, limit) = (number(info, "used_memory"), number(info, "maxmemory"));
    if limit == 0 {
        return report.pass(MEMORY, "no limit");
    }
    let percent = used.saturating_mul(100) / limit;
    let level = match percent {
        0..90 => Level::Pass,
        90..100 => Level::Warn,
        _ => Level::Fail,
    };
    let fix = "raise maxmemory or remove data: a full node refuses every lock (OOM)";
    report.judge(
        MEMORY,
        level,
        format!("{percent} % of {limit} bytes used"),
        fix,
    );
}

fn examine_disk(info: &str, report: &mut Report) {
    let states = ["rdb_last_bgsave_status", "aof_last_write_status"];
    let failing: Vec<&str> = states
        .into_iter()
        .filter(|name| field(info, name).is_some_and(|state| state != "ok"))
        .collect();
    match failing.as_slice() {
        [] => report.pass(WRITABLE, "none"),
        failing => report.fail(
            WRITABLE,
            format!(
                "{}: err, so writes are refused (MISCONF)",
                failing.join(", ")
            ),
            "free the disk or fix its permissions; the server's log names the file",
        ),
    }
}
