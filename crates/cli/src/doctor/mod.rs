//! `leasehold doctor`: what is wrong with this deployment, in the order in which things depend on
//! each other, so that the first failure is the cause and not a consequence.

mod cluster;
mod configuration;
mod data_nodes;
mod gate;
mod health;
mod limits;
mod node;
mod persistence;
mod replication;
mod report;
mod sentinels;
mod takeover;
mod trial;

use leasehold::Config;
use leasehold::config::{Endpoint, Locking, Topology};
use leasehold::probe::Probe;

use self::report::{Level, Report};
use self::sentinels::KnownBySentinels;
use crate::connect::Source;
use crate::exit::{self, Failure};
use crate::output::Output;

/// Look for what is wrong with the configuration, the servers and the permissions
///
/// Ends with 0 if nothing failed, 1 with warnings, 2 with failures. Changes nothing, except that it
/// takes and releases one lock of its own. Needs no right to CONFIG.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

const WARNED: u8 = 1;
const FAILED: u8 = 2;

pub(crate) async fn main(source: &Source, output: Output) -> Result<u8, Failure> {
    let mut report = Report::new(output);
    examine(source, &mut report).await;
    let (warned, failed) = (report.count(Level::Warn), report.count(Level::Fail));
    if output.json {
        output.document(&report.document());
    } else if !output.quiet {
        output.line(&format!(
            "{} passed, {warned} warned, {failed} failed, {} skipped",
            report.count(Level::Pass),
            report.count(Level::Skip),
        ));
    }
    Ok(match (failed, warned) {
        (0, 0) => exit::OK,
        (0, _) => WARNED,
        _ => FAILED,
    })
}

async fn examine(source: &Source, report: &mut Report) {
    let Some(config) = configuration::examine(source, report) else {
        return;
    };
    let Locking::Enabled(topology) = &config.locking else {
        return;
    };
    let mut known = None;
    let masters = match topology {
        Topology::Sentinel(sentinel) => {
            known = sentinels::examine(&config, topology, sentinel, report).await;
            known.iter().map(|known| known.master.clone()).collect()
        }
        Topology::Standalone(standalone) => vec![standalone.endpoint.clone()],
        Topology::Cluster(seeds) => cluster::examine(topology, seeds, report).await,
        _ => Vec::new(),
    };
    let mut is_usable = !masters.is_empty();
    for master in &masters {
        is_usable &= examine_node(&config, topology, master, known.as_ref(), report).await;
    }
    let is_quorum = matches!(topology, Topology::Quorum(_));
    if is_usable || is_quorum {
        trial::examine(&config, report).await;
    } else {
        trial::skip(report);
    }
}

/// Returns whether the node can be asked for a lock at all.
async fn examine_node(
    config: &Config,
    topology: &Topology,
    endpoint: &Endpoint,
    known: Option<&KnownBySentinels>,
    report: &mut Report,
) -> bool {
    let Some(probe) = node::examine(topology, endpoint, report).await else {
        return false;
    };
    let subject = Subject {
        config,
        topology,
        probe: &probe,
        info: info(&probe).await,
    };
    node::examine_role(&subject, endpoint, report);
    let mut replicas = Vec::new();
    if let (Some(known), Topology::Sentinel(sentinels)) = (known, topology) {
        replicas = data_nodes::examine(&subject, known, sentinels, report).await;
    }
    health::examine(&subject, report);
    persistence::examine(&subject, endpoint, &replicas, report).await;
    replication::examine(&subject, report);
    let gate = gate::examine(&subject, report).await;
    if let (Some(gate), Some(known)) = (&gate, known) {
        takeover::examine(&subject, known, &replicas, gate, report).await;
    }
    limits::examine(&subject, endpoint, report).await;
    true
}

/// A node that answers, and what it says of itself.
struct Subject<'a> {
    config: &'a Config,
    topology: &'a Topology,
    probe: &'a Probe,
    /// The text of `INFO`, all sections that matter; empty if this user may not see it.
    info: String,
}

async fn info(probe: &Probe) -> String {
    let answer = probe.ask(&["INFO"]).await;
    answer
        .ok()
        .and_then(|answer| answer.text())
        .unwrap_or_default()
}
