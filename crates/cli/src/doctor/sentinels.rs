//! The Sentinels, one by one and together.

use std::collections::BTreeMap;

use leasehold::config::{Endpoint, SentinelTopology, Topology};
use leasehold::probe::{Hop, Probe};
use leasehold::{Cause, Config, Unavailable};

use super::report::{Check, Level, Report};
use crate::duration::shown;
use crate::servers::{SentinelView, field, read_view};

const REACHED: Check = ("LH0101", "Sentinels reached");
const NUMBER: Check = ("LH0102", "number of Sentinels");
const KNOWN: Check = ("LH0103", "master known by its name");
const AGREED: Check = ("LH0104", "Sentinels agree on the master");
const QUORUM: Check = ("LH0105", "a failover would find its quorum");
const FLAGS: Check = ("LH0106", "master in good standing");
const MAJORITY: Check = ("LH0107", "quorum setting");
const DOWN_AFTER: Check = ("LH0108", "time to a failover");
const TILT: Check = ("LH0109", "Sentinels' own clocks");

struct Seen {
    endpoint: Endpoint,
    probe: Probe,
    view: SentinelView,
}

/// Returns the master that a majority names.
pub(super) async fn examine(
    config: &Config,
    topology: &Topology,
    sentinels: &SentinelTopology,
    report: &mut Report,
) -> Option<Endpoint> {
    let probes = reach(topology, sentinels, report).await;
    let seen = ask(&probes, &sentinels.service, report).await?;
    examine_number(&seen, sentinels, report);
    let master = agree(&seen, sentinels, report)?;
    examine_quorum(&seen, &sentinels.service, report).await;
    examine_view(config, &seen, report);
    examine_tilt(&seen, report).await;
    Some(sentinels.address_map.map(&master))
}

async fn reach(
    topology: &Topology,
    sentinels: &SentinelTopology,
    report: &mut Report,
) -> Vec<(Endpoint, Probe)> {
    let mut probes = Vec::new();
    let mut failures: Vec<Unavailable> = Vec::new();
    for endpoint in &sentinels.sentinels {
        match Probe::open(topology, Hop::Sentinel, endpoint).await {
            Ok(probe) => probes.push((endpoint.clone(), probe)),
            Err(error) => failures.push(error),
        }
    }
    let (reached, all) = (probes.len(), sentinels.sentinels.len());
    let Some(first) = failures.first() else {
        report.pass(REACHED, format!("{reached} of {all}"));
        return probes;
    };
    let level = if reached > all / 2 {
        Level::Warn
    } else {
        Level::Fail
    };
    let told: Vec<String> = failures
        .iter()
        .map(|error| {
            let node = error.node().map(ToString::to_string).unwrap_or_default();
            format!("{node}: {}", error.cause())
        })
        .collect();
    let seen = format!("only {reached} of {all} Sentinels ({})", told.join("; "));
    report.judge(REACHED, level, seen, first.cause().advice());
    probes
}

async fn ask(
    probes: &[(Endpoint, Probe)],
    service: &str,
    report: &mut Report,
) -> Option<Vec<Seen>> {
    let mut seen = Vec::new();
    let mut refusal = None;
    for (endpoint, probe) in probes {
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
            let advice = Cause::IsNotSentinel.advice();
            report.fail(KNOWN, format!("{node} is no Sentinel"), advice);
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

fn examine_number(seen: &[Seen], sentinels: &SentinelTopology, report: &mut Report) {
    let known = 1 + seen.iter().map(|seen| seen.view.others).max().unwrap_or(0);
    let listed = sentinels.sentinels.len();
    let told = format!("{listed} configured, {known} known to each other");
    if known < 3 {
        let mend = "run three on separate machines: fewer cannot outvote a dead one";
        report.warn(NUMBER, told, mend);
    } else if (listed as u64) < known {
        let mend = "list all of them in REDIS_SENTINEL_HOSTS, so that any one may be down";
        report.warn(NUMBER, told, mend);
    } else {
        report.pass(NUMBER, told);
    }
}

/// The master that more than half of the known Sentinels name.
fn agree(seen: &[Seen], sentinels: &SentinelTopology, report: &mut Report) -> Option<Endpoint> {
    let mut votes: BTreeMap<(&Endpoint, u64), usize> = BTreeMap::new();
    for seen in seen {
        *votes
            .entry((&seen.view.master, seen.view.epoch))
            .or_default() += 1;
    }
    let known = 1 + seen.iter().map(|seen| seen.view.others).max().unwrap_or(0);
    let all = sentinels
        .sentinels
        .len()
        .max(usize::try_from(known).unwrap_or(usize::MAX));
    let (&(master, epoch), &count) = votes.iter().max_by_key(|(_, count)| **count)?;
    let level = match (count * 2 > all, votes.len()) {
        (false, _) => Level::Fail,
        (true, 1) => Level::Pass,
        (true, _) => Level::Warn,
    };
    let told = format!("{count} of {all} name {master} at epoch {epoch}");
    let mend = "compare `leasehold topology`; during a failover this lasts for moments only";
    report.judge(AGREED, level, told, mend);
    (level != Level::Fail).then(|| master.clone())
}

async fn examine_quorum(seen: &[Seen], service: &str, report: &mut Report) {
    for seen in seen {
        match seen.probe.ask(&["SENTINEL", "CKQUORUM", service]).await {
            Ok(_) => {}
            Err(error) if matches!(error.cause(), Cause::NoPermission { .. }) => {
                return report.skip(QUORUM, "this user may not ask for it");
            }
            Err(error) => {
                let told = format!("{}: {}", seen.endpoint, error.cause());
                let mend = "bring Sentinels back, or lower the quorum to a majority of them";
                return report.fail(QUORUM, told, mend);
            }
        }
    }
    report.pass(QUORUM, "yes");
}

fn examine_view(config: &Config, seen: &[Seen], report: &mut Report) {
    let doubts: Vec<String> = seen
        .iter()
        .filter(|seen| seen.view.flags != "master")
        .map(|seen| format!("{} says {}", seen.endpoint, seen.view.flags))
        .collect();
    let mend = "look whether the master is up; with TLS its Sentinels need `tls-replication yes`";
    match doubts.as_slice() {
        [] => report.pass(FLAGS, "yes"),
        doubts => report.fail(FLAGS, doubts.join("; "), mend),
    }
    let Some(view) = seen.first().map(|seen| &seen.view) else {
        return;
    };
    let majority = view.others.div_ceil(2) + 1;
    let level = if view.quorum <= majority {
        Level::Pass
    } else {
        Level::Warn
    };
    let told = format!("{} of {}", view.quorum, view.others + 1);
    report.judge(
        MAJORITY,
        level,
        told,
        "a majority is enough: SENTINEL SET … quorum",
    );
    let down_after = std::time::Duration::from_millis(view.down_after_ms);
    let told = format!(
        "the master counts as down after {}; a lease lasts {}",
        shown(down_after),
        shown(config.lock.ttl)
    );
    let level = if down_after < config.lock.ttl {
        Level::Pass
    } else {
        Level::Warn
    };
    let mend = "no lease outlives a failover: lower down-after-milliseconds, or raise LOCK_TTL";
    report.judge(DOWN_AFTER, level, told, mend);
}

async fn examine_tilt(seen: &[Seen], report: &mut Report) {
    let mut tilted = Vec::new();
    for seen in seen {
        let info = seen.probe.ask(&["INFO", "sentinel"]).await;
        let info = info.ok().and_then(|info| info.text()).unwrap_or_default();
        if field(&info, "sentinel_tilt").is_some_and(|tilt| tilt != "0") {
            tilted.push(seen.endpoint.to_string());
        }
    }
    match tilted.as_slice() {
        [] => report.pass(TILT, "none has stopped judging (tilt)"),
        tilted => report.warn(
            TILT,
            format!("{} judge nothing at present (tilt)", tilted.join(", ")),
            "their machines were paused or their clocks jumped; look at load and time keeping",
        ),
    }
}
