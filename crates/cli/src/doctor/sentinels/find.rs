//! How many of the Sentinels answer.

use std::net::IpAddr;

use leasehold::Unavailable;
use leasehold::config::{Endpoint, SentinelTopology, Topology};
use leasehold::probe::Probe;

use crate::doctor::report::{Check, Level, Report};
use crate::sentinels::Reached;

const REACHED: Check = ("LH0101", "Sentinels reached");
const NUMBER: Check = ("LH0102", "number of Sentinels");

/// What to do about Sentinels that are not configured, but were announced by the others.
pub(super) const ANNOUNCED: &str = "start them; if they run and cannot be reached at the addresses that they announce, \
     set REDIS_ADDRESS_MAP or list all of them in REDIS_SENTINEL_HOSTS";

/// The Sentinels that answer, each once.
pub(super) struct FoundSentinels {
    pub(super) probes: Vec<(Endpoint, Probe)>,
    /// How many there are, with those that do not answer.
    pub(super) count: usize,
    /// All configured ones answer, and of those that they announce some do not.
    pub(super) lacks_announced: bool,
}

pub(super) async fn examine(
    topology: &Topology,
    sentinels: &SentinelTopology,
    report: &mut Report,
) -> FoundSentinels {
    let configured = &sentinels.sentinels;
    let mut reached = Reached::default();
    let awaited = || "the Sentinels in REDIS_SENTINEL_HOSTS to answer".to_owned();
    report
        .watched(awaited, reached.add(topology, configured))
        .await;
    let all_configured = reached.failures.is_empty();
    let others = reached.others(sentinels).await;
    let awaited = || "the Sentinels that the configured ones know to answer".to_owned();
    report
        .watched(awaited, reached.add(topology, &others))
        .await;
    let count = reached.count();
    let lacks_announced = all_configured && !reached.failures.is_empty();
    tell(&reached, configured.len(), lacks_announced, report);
    FoundSentinels {
        count,
        lacks_announced,
        probes: reached.probes,
    }
}

fn tell(reached: &Reached, configured: usize, lacks_announced: bool, report: &mut Report) {
    let (answering, count) = (reached.probes.len(), reached.count());
    let found = count.saturating_sub(configured);
    let told = match found {
        0 => format!("{answering} of {count}"),
        _ => format!("{answering} of {count}, {configured} configured and the others found"),
    };
    let Some(first) = reached.failures.first() else {
        return report.pass(REACHED, told);
    };
    let level = if answering > count / 2 {
        Level::Warn
    } else {
        Level::Fail
    };
    let why: Vec<String> = reached.failures.iter().map(described).collect();
    let seen = format!("only {answering} of {count} Sentinels ({})", why.join("; "));
    let fix = if lacks_announced {
        ANNOUNCED
    } else {
        first.fix()
    };
    report.judge(REACHED, level, seen, fix);
}

fn described(error: &Unavailable) -> String {
    let node = error.node().map(ToString::to_string).unwrap_or_default();
    format!("{node}: {}", error.cause())
}

pub(super) fn examine_number(all: usize, sentinels: &SentinelTopology, report: &mut Report) {
    let listed = sentinels.sentinels.len();
    let told = format!("{listed} configured, {all} known to each other");
    // A name, as that of a Service in Kubernetes, may stand for all of them.
    let is_name = |endpoint: &Endpoint| {
        endpoint.host() != "localhost" && endpoint.host().parse::<IpAddr>().is_err()
    };
    if all < 3 {
        let fix = "run three on separate machines: two cannot outvote a dead one";
        report.warn(NUMBER, told, fix);
    } else if listed < all && !sentinels.sentinels.iter().any(is_name) {
        let fix = "list all of them in REDIS_SENTINEL_HOSTS, so that any one may be down when a \
                   program starts";
        report.warn(NUMBER, told, fix);
    } else {
        report.pass(NUMBER, told);
    }
}
