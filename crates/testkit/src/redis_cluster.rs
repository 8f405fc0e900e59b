//! A Redis Cluster: the slots shared among several masters, each with replicas.

use std::{thread, time::Duration};

use crate::{
    builder::RedisServerBuilder,
    client,
    conf::quoted,
    error::{Error, Result},
    process::together,
    redis_server::RedisServer,
    wait,
};

const SLOTS: usize = 16_384;

/// Gossip and elections take a few node timeouts, on a busy machine some more.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

/// A cluster to be; made by [`RedisCluster::builder`].
#[derive(Debug, Clone)]
pub struct RedisClusterBuilder {
    masters: usize,
    replicas_each: usize,
    node_timeout: Duration,
    password: Option<String>,
    node: RedisServerBuilder,
}

impl RedisClusterBuilder {
    /// How many masters share the slots, 3 by default; fewer cannot elect a successor for one of them.
    #[must_use]
    pub fn masters(mut self, count: usize) -> Self {
        self.masters = count;
        self
    }

    /// How many replicas each master has, 1 by default.
    #[must_use]
    pub fn replicas_each(mut self, count: usize) -> Self {
        self.replicas_each = count;
        self
    }

    /// How long a node may be silent, 500 ms by default.
    #[must_use]
    pub fn node_timeout(mut self, time: Duration) -> Self {
        self.node_timeout = time;
        self
    }

    /// The password of all nodes; none by default.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// What all nodes have in common; port and password are set by the cluster.
    #[must_use]
    pub fn node(mut self, node: RedisServerBuilder) -> Self {
        self.node = node;
        self
    }

    /// Starts the nodes, joins them, and waits until all slots are served and all replicas in step.
    ///
    /// # Errors
    ///
    /// [`Error::MissingBinary`] without Redis on the machine, [`Error::NotReady`] or [`Error::Timeout`] when the
    /// cluster does not come up.
    pub fn start(self) -> Result<RedisCluster> {
        let mut node = self
            .node
            .config("cluster-enabled", "yes")
            .config("cluster-config-file", quoted("nodes.conf"))
            .config(
                "cluster-node-timeout",
                self.node_timeout.as_millis().to_string(),
            );
        if let Some(password) = &self.password {
            node = node.password(password);
        }
        let nodes = together(self.masters * (1 + self.replicas_each), |_| {
            node.clone().start()
        })?;
        let cluster = RedisCluster {
            nodes,
            masters: self.masters,
            password: self.password,
        };
        cluster.join()?;
        cluster.wait_until_stable()?;
        Ok(cluster)
    }
}

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
        RedisClusterBuilder {
            masters: 3,
            replicas_each: 1,
            node_timeout: Duration::from_millis(500),
            password: None,
            node: RedisServerBuilder::default(),
        }
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

    fn join(&self) -> Result<()> {
        for (index, node) in self.nodes.iter().enumerate() {
            // Distinct from the start, so that no time is lost on resolving collisions.
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()])?;
        }
        for (index, node) in self.nodes[..self.masters].iter().enumerate() {
            let slots = (index * SLOTS / self.masters)..((index + 1) * SLOTS / self.masters);
            let mut words = vec!["CLUSTER".to_owned(), "ADDSLOTS".to_owned()];
            words.extend(slots.map(|slot| slot.to_string()));
            node.command(&words)?;
        }
        for node in &self.nodes[1..] {
            node.command(&[
                "CLUSTER",
                "MEET",
                self.node(0).host(),
                &self.node(0).port().to_string(),
            ])?;
        }
        for (index, replica) in self.nodes.iter().enumerate().skip(self.masters) {
            let master = self.node(index % self.masters);
            let id = client::text(&master.command(&["CLUSTER", "MYID"])?).unwrap_or_default();
            // A node refuses to follow one that gossip has not introduced yet.
            wait::wait_for(
                format!("{} to know its master", replica.name()),
                SETTLED_WITHIN,
                || replica.command(&["CLUSTER", "REPLICATE", &id]).map(drop),
            )?;
        }
        Ok(())
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
