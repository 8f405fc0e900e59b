//! Describing a Redis Cluster before it is started, and joining its nodes.

use std::time::Duration;

use super::{RedisCluster, SETTLED_WITHIN, SLOTS};
use crate::{
    client, conf::quoted, error::Result, process::together, redis_server::RedisServerBuilder, wait,
};

/// A cluster to be; made by [`RedisCluster::builder`].
#[derive(Debug, Clone)]
pub struct RedisClusterBuilder {
    masters: usize,
    replicas_each: usize,
    node_timeout: Duration,
    password: Option<String>,
    node: RedisServerBuilder,
}

impl Default for RedisClusterBuilder {
    fn default() -> Self {
        Self {
            masters: 3,
            replicas_each: 1,
            node_timeout: Duration::from_millis(500),
            password: None,
            node: RedisServerBuilder::default(),
        }
    }
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
    /// [`Error::MissingBinary`](crate::Error::MissingBinary) without Redis on the machine,
    /// [`Error::NotReady`](crate::Error::NotReady) or [`Error::Timeout`](crate::Error::Timeout) when the cluster does
    /// not come up.
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

impl RedisCluster {
    /// Shares out the slots, introduces the nodes to each other and gives each replica its master.
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
}
