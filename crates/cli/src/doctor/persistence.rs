//! What a data node has after a restart: everything, nothing, or something old.

use leasehold::config::{Endpoint, Safety, Topology};
use leasehold::probe::Probe;

use super::report::{Check, Report};
use super::{Subject, info};
use crate::servers::number;

const PERSISTENCE: Check = ("LH0209", "persistence");

/// What is found after a restart.
enum Kept {
    /// What was written before the restart.
    Log,
    /// Nothing: no snapshot is written, and one that came from the master is deleted.
    Nothing,
    /// A snapshot that may be older than what the node has confirmed.
    Snapshot,
    /// This user may not ask.
    Unknown,
}

/// A data node, and what it keeps.
type Node = (String, Kept);

pub(super) async fn examine(
    subject: &Subject<'_>,
    endpoint: &Endpoint,
    replicas: &[(Endpoint, Probe)],
    report: &mut Report,
) {
    if subject.info.is_empty() {
        return;
    }
    let is_strict = subject.config.lock.safety == Safety::Strict;
    if !is_strict || !matches!(subject.topology, Topology::Sentinel(_)) {
        return examine_alone(&subject.info, report);
    }
    let mut nodes = vec![(
        endpoint.to_string(),
        kept(subject.probe, &subject.info).await,
    )];
    for (endpoint, probe) in replicas {
        let info = info(probe).await;
        nodes.push((endpoint.to_string(), kept(probe, &info).await));
    }
    examine_strict(&nodes, report);
}

async fn kept(probe: &Probe, info: &str) -> Kept {
    if number(info, "aof_enabled") != 0 {
        return Kept::Log;
    }
    let setting = async |name: &str| {
        let answer = probe.ask(&["CONFIG", "GET", name]).await.ok()?;
        Some(answer.field(name).unwrap_or_default())
    };
    let (save, deletes) = (setting("save").await, setting("rdb-del-sync-files").await);
    match (save.as_deref(), deletes.as_deref()) {
        (Some(""), Some("yes")) => Kept::Nothing,
        (Some(_), _) => Kept::Snapshot,
        (None, _) => Kept::Unknown,
    }
}

/// Assumption 2 of strict mode: no node comes back with a snapshot that is older than what it confirmed.
fn examine_strict(nodes: &[Node], report: &mut Report) {
    let of = |is_wanted: fn(&Kept) -> bool| -> Vec<&str> {
        let wanted = nodes.iter().filter(|(_, kept)| is_wanted(kept));
        wanted.map(|(node, _)| node.as_str()).collect()
    };
    let snapshots = of(|kept| matches!(kept, Kept::Snapshot));
    let unknown = of(|kept| matches!(kept, Kept::Unknown));
    let fix = "appendonly yes on every data node (CONFIG SET, and in its file), or both \
               rdb-del-sync-files yes and save ''";
    if !snapshots.is_empty() {
        let told = format!(
            "no append-only file on {}: after a restart such a node may have an old snapshot, and a \
             failover to it makes two holders possible",
            snapshots.join(", ")
        );
        return report.fail(PERSISTENCE, told, fix);
    }
    if !unknown.is_empty() {
        let told = format!(
            "no append-only file on {}, and this user may not run CONFIG GET rdb-del-sync-files",
            unknown.join(", ")
        );
        return report.warn(PERSISTENCE, told, fix);
    }
    let logs = of(|kept| matches!(kept, Kept::Log)).len();
    let told = match nodes.len() - logs {
        0 => format!("appendonly yes on {logs} data nodes"),
        empty => format!("appendonly yes on {logs} data nodes, nothing kept on disk on {empty}"),
    };
    report.pass(PERSISTENCE, told);
}

/// A server of its own, or one of a deployment in relaxed mode.
fn examine_alone(info: &str, report: &mut Report) {
    if number(info, "aof_enabled") != 0 {
        return report.pass(PERSISTENCE, "appendonly yes");
    }
    if number(info, "connected_slaves") == 0 {
        return report.warn(
            PERSISTENCE,
            "no append-only file and no replica: a restart forgets every lease",
            "CONFIG SET appendonly yes, or LOCK_SAFETY=strict so that a restart grants nothing for \
             one lease length",
        );
    }
    report.warn(
        PERSISTENCE,
        "no append-only file: a master that restarts empty empties its replicas, and one that \
         restarts from a snapshot brings back what was released and forgets what it confirmed",
        "CONFIG SET appendonly yes and CONFIG SET save '' on every data node, or never restart \
         one before it was replaced",
    );
}
