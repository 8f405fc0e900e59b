//! A Redis Cluster: the slots shared among several masters, each with replicas.

use std::{thread, time::Duration};

use crate::{
    client,
    error::{Error, Result},
    redis_server::RedisServer,
    wait,
};

const SLOTS: usize = 16_384;

/// Gossip and elections take a few node timeouts, on a busy machine some more.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

mod builder;

pub use builder::RedisClusterBuilder;

/// Three masters and a replica of each, unless asked otherwise, all real processes on the loopback interface.
///
/// Nodes are numbered from 0; at first the masters come first.
///
/// ```no_run
/// use leasehold_testkit::RedisCluster;
///
/// let cluster = RedisCluster::start()?;
/// let old = cluster.owner_of("orders")?;
/// cluster.node(old).kill();
/// let new = cluster.wait_for_new_owner("orders", old)?;
/// assert_ne!(old, new);
/// # Ok::<(), leasehold_testkit::Error>(())
/// ```
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    masters: usize,
    password: Option<String>,
}

impl RedisCluster {
    /// Starts three masters and a replica of each.
    ///
    /// # Errors
    ///
    /// Those of [`RedisClusterBuilder::start`].
    pub fn start() -> Result<Self> {
        Self::builder().start()
    }

    /// Describes a cluster before it is started.
    #[must_use]
    pub fn builder() -> RedisClusterBuilder {
        RedisClusterBuilder::default()
    }

    /// All nodes, whatever their role and state.
    #[must_use]
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// One node.
    ///
    /// # Panics
    ///
    /// When there are not that many.
    #[must_use]
    pub fn node(&self, index: usize) -> &RedisServer {
        &self.nodes[index]
    }

    /// Host and port of each node.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.address()).collect()
    }

    /// The environment of an application that is to use this cluster.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        let nodes = ("REDIS_CLUSTER_NODES".to_owned(), self.addresses().join(","));
        let password = self
            .password
            .iter()
            .map(|password| ("REDIS_PASSWORD".to_owned(), password.clone()));
        [nodes].into_iter().chain(password).collect()
    }

    /// Which node serves the slot of this key, as most of the serving nodes say.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when they do not agree or none of them serves.
    pub fn owner_of(&self, key: &str) -> Result<usize> {
        self.agreed_owner(key).map_err(|reason| Error::Unavailable {
            feature: "the owner of the key",
            reason,
        })
    }

    /// Waits until most of the serving nodes name another owner of the key than `old`.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] after half a minute.
    pub fn wait_for_new_owner(&self, key: &str, old: usize) -> Result<usize> {
        wait::wait_for(
            format!("a new owner of {key}"),
            SETTLED_WITHIN,
            || match self.agreed_owner(key)? {
                owner if owner == old => Err(format!("node {old} is still named")),
                owner => Ok(owner),
            },
        )
    }

    /// Has a replica of the key's owner take its place in an orderly way (`CLUSTER FAILOVER`), and waits for it.
    ///
    /// Returns the former and the new owner.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when the owner has no replica that serves, and those of
    /// [`wait_for_new_owner`](Self::wait_for_new_owner).
    pub fn failover(&self, key: &str) -> Result<(usize, usize)> {
        let old = self.owner_of(key)?;
        let port = Some(self.node(old).port());
        let follower = |node: &&RedisServer| {
            node.is_serving() && node.follows().is_ok_and(|master| master == port)
        };
        let reason = || Error::Unavailable {
            feature: "a failover",
            reason: format!("node {old} has no replica"),
        };
        self.nodes
            .iter()
            .find(follower)
            .ok_or_else(reason)?
            .command(&["CLUSTER", "FAILOVER"])?;
        Ok((old, self.wait_for_new_owner(key, old)?))
    }

    /// Waits until every serving node sees all slots served, and every serving replica is linked to its master.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] after half a minute, with what was still amiss.
    pub fn wait_until_stable(&self) -> Result<()> {
        wait::wait_for("a stable cluster", SETTLED_WITHIN, || self.stable())
    }

    fn serving(&self) -> impl Iterator<Item = &RedisServer> {
        self.nodes.iter().filter(|node| node.is_serving())
    }

    fn agreed_owner(&self, key: &str) -> std::result::Result<usize, String> {
        let mut votes = vec![0; self.nodes.len()];
        let mut serving = 0;
        for node in self.serving() {
            serving += 1;
            if let Some(port) = owner_seen_by(node, key).map_err(|error| error.to_string())? {
                let owner = self
                    .nodes
                    .iter()
                    .position(|candidate| candidate.port() == port);
                if let Some(owner) = owner {
                    votes[owner] += 1;
                }
            }
        }
        let agreed = votes.iter().position(|count| *count * 2 > serving);
        agreed.ok_or_else(|| format!("{serving} nodes name owners {votes:?}"))
    }

    fn stable(&self) -> std::result::Result<(), String> {
        for node in self.serving() {
            let name = node.name();
            let reply = node
                .command(&["CLUSTER", "INFO"])
                .map_err(|error| error.to_string())?;
            let fields = client::info_fields(&client::text(&reply).unwrap_or_default());
            let is = |key: &str, value: &str| fields.get(key).is_some_and(|seen| seen == value);
            if !is("cluster_state", "ok") || !is("cluster_slots_ok", &SLOTS.to_string()) {
                return Err(format!("{name} does not see all slots served"));
            }
            if !is("cluster_known_nodes", &self.nodes.len().to_string())
                || !is("cluster_slots_pfail", "0")
            {
                return Err(format!(
                    "{name} does not know all nodes, or thinks one is failing"
                ));
            }
            let replication = node
                .info("replication")
                .map_err(|error| error.to_string())?;
            let linked = replication
                .get("master_link_status")
                .is_none_or(|status| status == "up");
            if !linked {
                return Err(format!("{name} is not linked to its master"));
            }
        }
        let masters = self
            .serving()
            .filter(|node| node.role().is_ok_and(|role| role == crate::Role::Master));
        let masters = masters.count();
        if masters == self.masters {
            Ok(())
        } else {
            Err(format!("{masters} nodes are masters"))
        }
    }

    /// Kills every process of the cluster, as a power cut would.
    pub fn kill_all(&self) {
        thread::scope(|scope| {
            for node in &self.nodes {
                scope.spawn(|| node.kill());
            }
        });
    }
}

/// The port of the node that serves the slot of `key`, in the view of `node`.
fn owner_seen_by(node: &RedisServer, key: &str) -> Result<Option<u16>> {
    let slot = client::text(&node.command(&["CLUSTER", "KEYSLOT", key])?)
        .and_then(|slot| slot.parse::<i64>().ok());
    let reply = node.command(&["CLUSTER", "SLOTS"])?;
    let ranges = reply
        .as_sequence()
        .ok_or_else(|| node.odd("CLUSTER SLOTS", &reply))?;
    let number =
        |value: &redis::Value| client::text(value).and_then(|text| text.parse::<i64>().ok());
    let owner = ranges
        .iter()
        .filter_map(redis::Value::as_sequence)
        .find_map(|range| {
            let (first, last) = (number(range.first()?)?, number(range.get(1)?)?);
            let port = range.get(2)?.as_sequence()?.get(1)?;
            (first..=last)
                .contains(&slot?)
                .then(|| number(port))
                .flatten()
        });
    Ok(owner.and_then(|port| u16::try_from(port).ok()))
}
