//! The Sentinels: which there are, what each says of the master, and how they are set up.

mod agreement;
mod find;
mod sizing;

use std::collections::BTreeMap;

use leasehold::Config;
use leasehold::config::{Endpoint, SentinelTopology, Topology};
use leasehold::probe::{Answer, Probe};

use super::report::Report;
use crate::servers::{self, SentinelView};

/// A Sentinel that knows the master, and what it says of it.
struct Seen {
    endpoint: Endpoint,
    probe: Probe,
    view: SentinelView,
}

/// What the Sentinels know, where a majority of them agrees on the master.
pub(super) struct KnownBySentinels {
    /// Where the master is reached from here.
    pub(super) master: Endpoint,
    /// By announced address, each replica with the flags of the Sentinel that says the worst of it.
    pub(super) replicas: BTreeMap<String, String>,
}

pub(super) async fn examine(
    config: &Config,
    topology: &Topology,
    sentinels: &SentinelTopology,
    report: &mut Report,
) -> Option<KnownBySentinels> {
    let found = find::examine(topology, sentinels, report).await;
    let seen = agreement::ask(&found, sentinels, report).await?;
    let all = found.count.max(known(&seen));
    find::examine_number(all, sentinels, report);
    let master = agreement::examine(&found, &seen, all, report)?;
    agreement::examine_flags(&seen, report);
    agreement::examine_quorum(&seen, &sentinels.service, report).await;
    agreement::examine_tilt(&seen, report).await;
    sizing::examine(config, &seen, report);
    Some(KnownBySentinels {
        master: sentinels.address_map.map(&master),
        replicas: replicas(&seen, &sentinels.service).await,
    })
}

/// How many Sentinels there are by the one that knows most of them.
fn known(seen: &[Seen]) -> usize {
    let others = seen.iter().map(|seen| seen.view.others).max();
    usize::try_from(others.map_or(0, |others| others + 1)).unwrap_or(usize::MAX)
}

async fn replicas(seen: &[Seen], service: &str) -> BTreeMap<String, String> {
    let mut replicas: BTreeMap<String, String> = BTreeMap::new();
    for seen in seen {
        let answer = seen.probe.ask(&["SENTINEL", "REPLICAS", service]).await;
        let answer = answer.unwrap_or(Answer::Nil);
        for replica in servers::replicas(&answer) {
            let field = |name: &str| replica.field(name).unwrap_or_default();
            let address = format!("{}:{}", field("ip"), field("port"));
            let flags = field("flags");
            let known = replicas.entry(address).or_default();
            if flags.len() > known.len() {
                *known = flags;
            }
        }
    }
    replicas
}
