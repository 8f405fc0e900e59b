//! What the Sentinels say of the master, one by one and together.

use std::collections::BTreeMap;

use leasehold::config::{Endpoint, SentinelTopology};
use leasehold::probe::Probe;
use leasehold::{Cause, Unavailable};

use super::Seen;
use super::find::{ANNOUNCED, FoundSentinels};
use crate::doctor::report::{Check, Level, Report};
use crate::servers::{field, read_view};

const KNOWN: Check = ("LH0103", "master known by its name");
const AGREED: Check = ("LH0104", "Sentinels agree on the master");
const QUORUM: Check = ("LH0105", "Sentinels in touch for a failover");
const FLAGS: Check = ("LH0106", "master up, by the Sentinels");
const TILT: Check = ("LH0109", "Sentinels out of TILT mode");

pub(super) async fn ask(
    found: &FoundSentinels,
    sentinels: &SentinelTopology,
    report: &mut Report,
) -> Option<Vec<Seen>> {
    let service = &*sentinels.service;
    let mut seen = Vec::new();
    let mut refusal = None;
    for (endpoint, probe) in &found.probes {
        match probe.ask(&["SENTINEL", "MASTER", service]).await {
            Ok(answer) => seen.push(Seen {
                endpoint: endpoint.clone(),
                probe: probe.clone(),
                view: read_view(&answer),
            }),
            Err(error) => refusal = Some((probe, error)),
        }
    }
    match refusal {
        None => {}
        Some((probe, error)) if is_unknown_name(&error) => {
            let names = names(probe).await;
            let told = format!(
                "no master is called `{service}`; known: {}",
                names.join(", ")
            );
            report.fail(KNOWN, told, "correct REDIS_SENTINEL_SERVICE");
            return None;
        }
        Some((_, error)) if is_no_sentinel(&error) => {
            let node = error.node().map(ToString::to_string).unwrap_or_default();
            let fix = Cause::IsNotSentinel.fix();
            report.fail(KNOWN, format!("{node} is no Sentinel"), fix);
            return None;
        }
        Some((_, error)) => report.fail_with(KNOWN, &error),
    }
    if seen.is_empty() {
        if !report.has_failed() {
            report.fail(KNOWN, "no Sentinel answered", "bring the Sentinels back");
        }
        return None;
    }
    report.pass(KNOWN, format!("`{service}`"));
    Some(seen)
}

fn is_unknown_name(error: &Unavailable) -> bool {
    error.cause().to_string().contains("No such master")
}

fn is_no_sentinel(error: &Unavailable) -> bool {
    error.cause().to_string().contains("unknown command")
}

async fn names(probe: &Probe) -> Vec<String> {
    let Ok(masters) = probe.ask(&["SENTINEL", "MASTERS"]).await else {
        return Vec::new();
    };
    let masters = masters.items().iter();
    masters.filter_map(|master| master.field("name")).collect()
}

/// The master that more than half of `all` Sentinels name.
pub(super) fn examine(
    found: &FoundSentinels,
    seen: &[Seen],
    all: usize,
    report: &mut Report,
) -> Option<Endpoint> {
    let mut votes: BTreeMap<(&Endpoint, u64), usize> = BTreeMap::new();
    for seen in seen {
        *votes
            .entry((&seen.view.master, seen.view.epoch))
            .or_default() += 1;
    }
    let (&(master, epoch), &count) = votes.iter().max_by_key(|(_, count)| **count)?;
    let level = match (count * 2 > all, votes.len()) {
        (false, _) => Level::Fail,
        (true, 1) => Level::Pass,
        (true, _) => Level::Warn,
    };
    let told = format!("{count} of {all} name {master} at epoch {epoch}");
    let fix = match votes.len() {
        1 if found.lacks_announced => ANNOUNCED,
        1 => {
            "bring the missing Sentinels back; those that are gone for good count until SENTINEL RESET"
        }
        _ => {
            "compare `leasehold topology`; if a failover is in progress, wait until it ends; if they go on disagreeing, \
             the next failover makes them agree: `leasehold failover`"
        }
    };
    report.judge(AGREED, level, told, fix);
    (level != Level::Fail).then(|| master.clone())
}

pub(super) fn examine_flags(seen: &[Seen], report: &mut Report) {
    let doubts: Vec<String> = seen
        .iter()
        .filter(|seen| seen.view.flags != "master")
        .map(|seen| format!("{} says {}", seen.endpoint, seen.view.flags))
        .collect();
    let fix = "look whether the master is up; with TLS its Sentinels need `tls-replication yes`";
    match doubts.as_slice() {
        [] => report.pass(FLAGS, "yes"),
        doubts => report.fail(FLAGS, doubts.join("; "), fix),
    }
}

pub(super) async fn examine_quorum(seen: &[Seen], service: &str, report: &mut Report) {
    for seen in seen {
        match seen.probe.ask(&["SENTINEL", "CKQUORUM", service]).await {
            Ok(_) => {}
            Err(error) if matches!(error.cause(), Cause::NoPermission { .. }) => {
                return report.skip(QUORUM, "this user may not ask for it");
            }
            Err(error) => {
                let told = format!("{}: {}", seen.endpoint, error.cause());
                let fix = "bring Sentinels back, or lower the quorum to a majority of them";
                return report.fail(QUORUM, told, fix);
            }
        }
    }
    report.pass(QUORUM, "yes");
}

pub(super) async fn examine_tilt(seen: &[Seen], report: &mut Report) {
    let mut tilted = Vec::new();
    for seen in seen {
        let info = seen.probe.ask(&["INFO", "sentinel"]).await;
        let info = info.ok().and_then(|info| info.text()).unwrap_or_default();
        if field(&info, "sentinel_tilt").is_some_and(|tilt| tilt != "0") {
            tilted.push(seen.endpoint.to_string());
        }
    }
    match tilted.as_slice() {
        [] => report.pass(TILT, "none is in TILT mode"),
        tilted => report.warn(
            TILT,
            format!(
                "in TILT mode, and so without a failover: {}",
                tilted.join(", ")
            ),
            "their machines were paused or their clocks jumped; look at load and time keeping",
        ),
    }
}
