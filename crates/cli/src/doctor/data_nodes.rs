//! The data nodes that Sentinel knows, and whether enough of them confirm what the master writes.

use std::time::Duration;

use leasehold::config::{Endpoint, Safety, SentinelTopology};
use leasehold::probe::{Hop, Probe};
use tokio::time::sleep;

use super::Subject;
use super::report::{Check, Level, Report};
use super::sentinels::KnownBySentinels;
use crate::servers::{Opened, Replication, open_all, replication};

const CONFIRMING: Check = ("LH0211", "data nodes in touch");
const REACHED: Check = ("LH0221", "replicas reached from here");

/// A replica acknowledges each second. One that has not for this many seconds confirms nothing.
const SILENT: u64 = 3;

/// A replica that Sentinel knows.
struct ListedReplica {
    /// As the servers announce it.
    address: String,
    flags: String,
    opened: Opened,
}

/// Returns the connections to the replicas that can be asked.
pub(super) async fn examine(
    subject: &Subject<'_>,
    known: &KnownBySentinels,
    sentinels: &SentinelTopology,
    report: &mut Report,
) -> Vec<(Endpoint, Probe)> {
    let nodes = open(subject, known, sentinels, report).await;
    let awaited = || "the replicas to acknowledge what the master sent".to_owned();
    let replication = report.watched(awaited, settled(subject, &nodes)).await;
    let in_touch = tell(subject, &nodes, &replication, report);
    tell_reached(&nodes, &in_touch, report);
    let opened = nodes.into_iter().map(|node| node.opened);
    opened
        .filter_map(|(endpoint, probe)| Some((endpoint, probe.ok()?)))
        .collect()
}

async fn open(
    subject: &Subject<'_>,
    known: &KnownBySentinels,
    sentinels: &SentinelTopology,
    report: &Report,
) -> Vec<ListedReplica> {
    let reachable = |address: &String| {
        let endpoint = Endpoint::parse(address, 6379).ok()?;
        Some(sentinels.address_map.map(&endpoint))
    };
    let replicas: Vec<(&String, &String, Endpoint)> = known
        .replicas
        .iter()
        .filter_map(|(address, flags)| Some((address, flags, reachable(address)?)))
        .collect();
    let endpoints: Vec<Endpoint> = replicas.iter().map(|(.., one)| one.clone()).collect();
    let awaited = || "the replicas that Sentinel knows to answer".to_owned();
    let opening = open_all(subject.topology, Hop::Node, &endpoints);
    let opened = report.watched(awaited, opening).await;
    let nodes = replicas.into_iter().zip(opened);
    nodes
        .map(|((address, flags, _), opened)| ListedReplica {
            address: address.clone(),
            flags: flags.clone(),
            opened,
        })
        .collect()
}

/// What the master says of its replicas. One that does not answer us may still be in touch with the master:
/// it is, unless its last acknowledgement grows old.
async fn settled(subject: &Subject<'_>, nodes: &[ListedReplica]) -> Replication {
    let mut asked = 0;
    loop {
        let replication = replication(subject.probe).await;
        let replication = replication.unwrap_or_else(|_| crate::servers::read_replication(""));
        let is_open = |node: &&ListedReplica| {
            node.opened.1.is_err() && silence(node, &replication).is_some_and(|lag| lag < SILENT)
        };
        asked += 1;
        if asked > SILENT || !nodes.iter().any(|node| is_open(&node)) {
            return replication;
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// For how many seconds the master has not heard of a replica; `None` if it is not connected.
fn silence(node: &ListedReplica, replication: &Replication) -> Option<u64> {
    let replicas = &mut replication.replicas.iter();
    let replica = replicas.find(|replica| replica.address == node.address)?;
    replica.is_online.then_some(replica.lag)
}

/// Returns the addresses of the replicas that confirm.
fn tell(
    subject: &Subject<'_>,
    nodes: &[ListedReplica],
    replication: &Replication,
    report: &mut Report,
) -> Vec<String> {
    let confirming = replication.replicas.iter();
    let confirming = confirming.filter(|replica| replica.is_online && replica.lag < SILENT);
    let confirming: Vec<String> = confirming.map(|replica| replica.address.clone()).collect();
    let all = 1 + nodes.len().max(replication.replicas.len());
    if all == 1 {
        let fix = "start the replicas; look at masterauth and their logs";
        let told = "Sentinel knows no replica, so nobody can take over";
        report.fail(CONFIRMING, told, fix);
        return confirming;
    }
    let (count, needed) = (1 + confirming.len(), all / 2 + 1);
    let is_strict = subject.config.lock.safety == Safety::Strict;
    let missing: Vec<String> = nodes
        .iter()
        .filter(|node| !confirming.contains(&node.address))
        .map(|node| described(node, replication))
        .collect();
    let level = match count {
        _ if count == all => Level::Pass,
        _ if is_strict && count < needed => Level::Fail,
        _ => Level::Warn,
    };
    let mut told = format!("{count} of {all} data nodes");
    if is_strict && count < all {
        told.push_str(&format!(", strict needs {needed}"));
    }
    if !missing.is_empty() {
        told.push_str(&format!(" ({})", missing.join("; ")));
    }
    let fix = "start them; look at their logs, masterauth and the network. One that is gone for good counts \
               until SENTINEL RESET on each Sentinel";
    report.judge(CONFIRMING, level, told, fix);
    confirming
}

fn described(node: &ListedReplica, replication: &Replication) -> String {
    let address = &node.address;
    let why = match (&node.opened.1, silence(node, replication)) {
        (_, Some(seconds)) => format!("has acknowledged nothing for {seconds} s"),
        (Err(error), None) => format!("is not connected to the master: {}", error.cause()),
        (Ok(_), None) => "runs and is not connected to the master".to_owned(),
    };
    format!("{address} {why}; Sentinel: {}", node.flags)
}

/// After a failover clients must reach the new master, which is one of these.
fn tell_reached(nodes: &[ListedReplica], confirming: &[String], report: &mut Report) {
    let failures: Vec<String> = nodes
        .iter()
        .filter(|node| confirming.contains(&node.address))
        .filter_map(|node| {
            let error = node.opened.1.as_ref().err()?;
            Some(format!("{}: {}", node.opened.0, error.cause()))
        })
        .collect();
    match failures.as_slice() {
        [] => report.pass(REACHED, "yes"),
        failures => report.warn(
            REACHED,
            failures.join("; "),
            "clients must reach the replicas: the next master is one of them, and after a failover the gate opens \
             at once only for who can ask them. Look at the network, or set REDIS_ADDRESS_MAP",
        ),
    }
}
