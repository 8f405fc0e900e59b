//! What the Sentinels and nodes of a cluster say, compared.

use std::collections::BTreeMap;

use super::SentinelCluster;
use crate::{redis_server::Role, sentinel_server::SentinelServer};

/// Why something is not as it should be, for the message of a wait that fails.
type Amiss = String;

impl SentinelCluster {
    /// The node named by a majority of the serving Sentinels.
    pub(super) fn agreed_master(&self) -> Result<usize, Amiss> {
        let mut votes: BTreeMap<u16, usize> = BTreeMap::new();
        let mut serving = 0;
        for sentinel in self.serving_sentinels() {
            serving += 1;
            if let Ok(Some((_, port))) = sentinel.master_address() {
                *votes.entry(port).or_default() += 1;
            }
        }
        let agreed = votes.iter().find(|(_, count)| **count * 2 > serving);
        let (port, _) =
            agreed.ok_or_else(|| format!("{serving} Sentinels name masters at ports {votes:?}"))?;
        let index = (0..self.nodes.len()).find(|index| self.announced_port(*index) == *port);
        index.ok_or_else(|| format!("the Sentinels name a stranger at port {port}"))
    }

    pub(super) fn stable(&self) -> Result<(), Amiss> {
        let master = self.agreed_master()?;
        if !self.node(master).is_serving() {
            return Err(format!("node {master} is named master, but is not serving"));
        }
        for (index, node) in self
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.is_serving())
        {
            let role = node.role().map_err(|error| error.to_string())?;
            let expected = if index == master {
                Role::Master
            } else {
                Role::Replica
            };
            if role != expected {
                return Err(format!("node {index} is {role}"));
            }
            let follows = node.follows().map_err(|error| error.to_string())?;
            if role == Role::Replica && follows != Some(self.announced_port(master)) {
                return Err(format!("node {index} is not linked to the master"));
            }
        }
        let epochs: Result<Vec<String>, Amiss> = self
            .serving_sentinels()
            .map(|sentinel| self.check_view(sentinel, master))
            .collect();
        let epochs = epochs?;
        if epochs.iter().any(|epoch| *epoch != epochs[0]) {
            return Err(format!("the Sentinels are at epochs {epochs:?}"));
        }
        Ok(())
    }

    fn serving_sentinels(&self) -> impl Iterator<Item = &SentinelServer> {
        self.sentinels
            .iter()
            .filter(|sentinel| sentinel.is_serving())
    }

    /// Whether one Sentinel knows all its peers and sees every serving node in good health; gives its epoch.
    fn check_view(&self, sentinel: &SentinelServer, master: usize) -> Result<String, Amiss> {
        let name = sentinel.name();
        let fields = sentinel.master().map_err(|error| error.to_string())?;
        let field = |key: &str| fields.get(key).cloned().unwrap_or_default();
        if field("port") != self.announced_port(master).to_string() {
            return Err(format!("{name} names another master"));
        }
        if field("flags") != "master" {
            return Err(format!("{name} sees the master as {}", field("flags")));
        }
        if field("num-other-sentinels") != (self.sentinels.len() - 1).to_string() {
            return Err(format!(
                "{name} knows {} other Sentinels",
                field("num-other-sentinels")
            ));
        }
        let mut healthy = sentinel.replicas().map_err(|error| error.to_string())?;
        healthy.retain(|replica| {
            let is = |key: &str, value: &str| replica.get(key).is_some_and(|seen| seen == value);
            is("flags", "slave")
                && is("master-link-status", "ok")
                && is("master-port", &field("port"))
        });
        let serving = |index: &usize| *index != master && self.node(*index).is_serving();
        for index in (0..self.nodes.len()).filter(serving) {
            let port = Some(self.announced_port(index).to_string());
            if !healthy
                .iter()
                .any(|replica| replica.get("port") == port.as_ref())
            {
                return Err(format!("{name} does not see node {index} in good health"));
            }
        }
        // With some of them gone on purpose, the others may be fewer than a quorum, which is as stable as it gets.
        if self.sentinels.iter().all(|other| other.is_serving()) {
            let quorum = sentinel.command(&["SENTINEL", "CKQUORUM", &self.service]);
            quorum.map_err(|error| error.to_string())?;
        }
        Ok(field("config-epoch"))
    }
}
