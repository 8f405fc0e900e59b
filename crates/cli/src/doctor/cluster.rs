//! A Redis Cluster as a whole.

use leasehold::config::{ClusterTopology, Endpoint, Topology};
use leasehold::probe::{Hop, Probe};

use super::report::{Check, Report};
use crate::servers::{field, number};

const STATE: Check = ("LH0401", "cluster serves all slots");

/// Returns a node of the cluster to look at more closely, if the cluster is up.
pub(super) async fn examine(
    topology: &Topology,
    cluster: &ClusterTopology,
    report: &mut Report,
) -> Vec<Endpoint> {
    let mut failure = None;
    for seed in &cluster.seeds {
        let probe = match Probe::open(topology, Hop::Node, seed).await {
            Ok(probe) => probe,
            Err(error) => {
                failure = Some(error);
                continue;
            }
        };
        let info = match probe.ask(&["CLUSTER", "INFO"]).await {
            Ok(answer) => answer.text().unwrap_or_default(),
            Err(error) => {
                report.fail_with(STATE, &error);
                return Vec::new();
            }
        };
        let told = format!(
            "{seed} says cluster_state:{}, {} of 16384 slots in order",
            field(&info, "cluster_state").unwrap_or_default(),
            number(&info, "cluster_slots_ok"),
        );
        if field(&info, "cluster_state").as_deref() == Some("ok") {
            report.pass(STATE, told);
            return vec![seed.clone()];
        }
        let fix =
            "bring the missing masters back (CLUSTERDOWN until then); CLUSTER NODES names them";
        report.fail(STATE, told, fix);
        return Vec::new();
    }
    match failure {
        Some(error) => report.fail_with(STATE, &error),
        None => report.fail(STATE, "no node is configured", "set REDIS_CLUSTER_NODES"),
    }
    Vec::new()
}
