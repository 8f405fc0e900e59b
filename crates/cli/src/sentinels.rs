//! Which Sentinels there are: the configured ones and, as the SDK does, those that they know.

use std::collections::BTreeSet;

use leasehold::Unavailable;
use leasehold::config::{Endpoint, SentinelTopology, Topology};
use leasehold::probe::{Answer, Hop, Probe};

use crate::servers::open_all;

/// Connections to Sentinels. One that is reached under two addresses counts once.
#[derive(Default)]
pub(crate) struct Reached {
    pub(crate) probes: Vec<(Endpoint, Probe)>,
    ids: BTreeSet<String>,
    pub(crate) failures: Vec<Unavailable>,
}

impl Reached {
    pub(crate) async fn add(&mut self, topology: &Topology, endpoints: &[Endpoint]) {
        for (endpoint, opened) in open_all(topology, Hop::Sentinel, endpoints).await {
            let probe = match opened {
                Ok(probe) => probe,
                Err(error) => {
                    self.failures.push(error);
                    continue;
                }
            };
            let id = probe.ask(&["SENTINEL", "MYID"]).await;
            let id = id.ok().and_then(|id| id.text());
            // Without an identifier the address has to tell them apart.
            if self.ids.insert(id.unwrap_or_else(|| endpoint.to_string())) {
                self.probes.push((endpoint, probe));
            }
        }
    }

    /// The Sentinels that those which answer know, except the ones that were asked already.
    pub(crate) async fn others(&self, sentinels: &SentinelTopology) -> Vec<Endpoint> {
        let mut others = Vec::new();
        for (_, probe) in &self.probes {
            let answer = probe
                .ask(&["SENTINEL", "SENTINELS", &sentinels.service])
                .await;
            for other in answer.iter().flat_map(Answer::items) {
                let field = |name: &str| other.field(name).unwrap_or_default();
                let port = field("port").parse().unwrap_or_default();
                let endpoint = Endpoint::new(field("ip"), port);
                let endpoint = sentinels.address_map.map(&endpoint);
                let is_new = !sentinels.sentinels.contains(&endpoint)
                    && !others.contains(&endpoint)
                    && !self.ids.contains(&field("runid"));
                if is_new {
                    others.push(endpoint);
                }
            }
        }
        others
    }

    /// How many there are, with those that do not answer.
    pub(crate) fn count(&self) -> usize {
        self.probes.len() + self.failures.len()
    }
}
