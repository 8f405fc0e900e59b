//! A master, its replicas and the Sentinels that watch them.

use std::{thread, time::Duration};

use crate::{
    error::{Error, Result},
    proxy::Proxy,
    redis_server::{RedisServer, Role},
    sentinel_server::SentinelServer,
    wait,
};

mod builder;
mod view;

pub use builder::SentinelClusterBuilder;

/// A whole failover ends well within this, also on a machine so busy with other tests that a Sentinel
/// takes its own pauses for jumps of the clock and does nothing for half a minute.
const SETTLED_WITHIN: Duration = Duration::from_secs(75);

/// A master with replicas under the watch of several Sentinels, all real processes on the loopback interface.
///
/// Data nodes are numbered from 0; node 0 is the first master. Which one is master now is what the Sentinels say.
///
/// ```no_run
/// use leasehold_testkit::SentinelCluster;
///
/// let cluster = SentinelCluster::start()?;
/// let old = cluster.kill_master()?;
/// let new = cluster.wait_for_new_master(old)?;
/// cluster.node(old).restart()?;
/// cluster.wait_until_stable()?;
/// assert_eq!(cluster.master_index()?, new);
/// # Ok::<(), leasehold_testkit::Error>(())
/// ```
#[derive(Debug)]
pub struct SentinelCluster {
    service: String,
    quorum: u32,
    password: Option<String>,
    sentinel_password: Option<String>,
    nodes: Vec<RedisServer>,
    proxies: Vec<Proxy>,
    sentinels: Vec<SentinelServer>,
}

impl SentinelCluster {
    /// Starts one master, two replicas and three Sentinels, and waits until all know each other.
    ///
    /// # Errors
    ///
    /// [`Error::MissingBinary`] without Redis on the machine, [`Error::NotReady`] or [`Error::Timeout`] when the
    /// cluster does not come up.
    pub fn start() -> Result<Self> {
        Self::builder().start()
    }

    /// Describes a cluster before it is started.
    #[must_use]
    pub fn builder() -> SentinelClusterBuilder {
        SentinelClusterBuilder::default()
    }

    /// All data nodes, whatever their role and state.
    #[must_use]
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// One data node.
    ///
    /// # Panics
    ///
    /// When there are not that many.
    #[must_use]
    pub fn node(&self, index: usize) -> &RedisServer {
        &self.nodes[index]
    }

    /// The proxies in front of the data nodes, by node; none unless the cluster was built with
    /// [`proxied`](SentinelClusterBuilder::proxied).
    #[must_use]
    pub fn proxies(&self) -> &[Proxy] {
        &self.proxies
    }

    /// The proxy in front of one data node.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn proxy(&self, index: usize) -> &Proxy {
        &self.proxies[index]
    }

    /// The port at which the others know a data node: its proxy's, where it has one.
    #[must_use]
    pub fn announced_port(&self, index: usize) -> u16 {
        self.proxies
            .get(index)
            .map_or_else(|| self.node(index).port(), Proxy::port)
    }

    /// The announced and the direct address of each data node, as `announced=direct`, for a client that is to be on the
    /// same side of a partition as the nodes themselves.
    #[must_use]
    pub fn address_map(&self) -> String {
        let pair = |(proxy, node): (&Proxy, &RedisServer)| {
            format!("{}={}", proxy.address(), node.address())
        };
        self.proxies
            .iter()
            .zip(&self.nodes)
            .map(pair)
            .collect::<Vec<_>>()
            .join(",")
    }

    /// All Sentinels.
    #[must_use]
    pub fn sentinels(&self) -> &[SentinelServer] {
        &self.sentinels
    }

    /// One Sentinel.
    ///
    /// # Panics
    ///
    /// When there are not that many.
    #[must_use]
    pub fn sentinel(&self, index: usize) -> &SentinelServer {
        &self.sentinels[index]
    }

    /// Host and port of each Sentinel.
    #[must_use]
    pub fn sentinel_addresses(&self) -> Vec<String> {
        self.sentinels
            .iter()
            .map(|sentinel| sentinel.address())
            .collect()
    }

    /// The name under which the Sentinels watch the master.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// How many Sentinels must find the master dead.
    #[must_use]
    pub fn quorum(&self) -> u32 {
        self.quorum
    }

    /// The environment of an application that is to use this cluster.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        let mut variables = vec![
            (
                "REDIS_SENTINEL_HOSTS".to_owned(),
                self.sentinel_addresses().join(","),
            ),
            ("REDIS_SENTINEL_SERVICE".to_owned(), self.service.clone()),
        ];
        let secrets = [
            ("REDIS_PASSWORD", &self.password),
            ("REDIS_SENTINEL_PASSWORD", &self.sentinel_password),
        ];
        for (name, secret) in secrets {
            variables.extend(
                secret
                    .iter()
                    .map(|secret| (name.to_owned(), secret.clone())),
            );
        }
        variables
    }

    /// Which node is master, as most of the serving Sentinels say.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when they do not agree, none of them serves, or they name a stranger.
    pub fn master_index(&self) -> Result<usize> {
        self.agreed_master().map_err(|reason| Error::Unavailable {
            feature: "the master",
            reason,
        })
    }

    /// The node that is master, as most of the serving Sentinels say.
    ///
    /// # Errors
    ///
    /// Those of [`master_index`](Self::master_index).
    pub fn master(&self) -> Result<&RedisServer> {
        self.master_index().map(|index| self.node(index))
    }

    /// All nodes but the master.
    ///
    /// # Errors
    ///
    /// Those of [`master_index`](Self::master_index).
    pub fn replica_indices(&self) -> Result<Vec<usize>> {
        let master = self.master_index()?;
        Ok((0..self.nodes.len())
            .filter(|index| *index != master)
            .collect())
    }

    /// Kills the master with `SIGKILL` and returns its index.
    ///
    /// # Errors
    ///
    /// Those of [`master_index`](Self::master_index).
    pub fn kill_master(&self) -> Result<usize> {
        let index = self.master_index()?;
        self.node(index).kill();
        Ok(index)
    }

    /// Freezes the master with `SIGSTOP` and returns its index.
    ///
    /// # Errors
    ///
    /// Those of [`master_index`](Self::master_index) and of [`pause`](crate::ServerProcess::pause).
    pub fn pause_master(&self) -> Result<usize> {
        let index = self.master_index()?;
        self.node(index).pause()?;
        Ok(index)
    }

    /// Has a Sentinel promote a replica while the master lives (`SENTINEL FAILOVER`); does not wait for the end.
    ///
    /// Returns the index of the master that is to step down.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] when the Sentinel refuses, for example because a failover is in progress.
    pub fn failover(&self) -> Result<usize> {
        let index = self.master_index()?;
        let serving = self.sentinels.iter().find(|sentinel| sentinel.is_serving());
        let reason = || Error::Unavailable {
            feature: "a failover",
            reason: "no Sentinel is serving".to_owned(),
        };
        serving
            .ok_or_else(reason)?
            .command(&["SENTINEL", "FAILOVER", &self.service])?;
        Ok(index)
    }

    /// Has the master hand its office to a replica that is in step (`FAILOVER`), with client connections kept open;
    /// waits until it has.
    ///
    /// The Sentinels have no part in it: they see their master turn replica, and some time later confirm a master by a
    /// failover of their own. Returns the index of the former master.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] when the master refuses, [`Error::Timeout`] when it keeps its office.
    pub fn coordinated_failover(&self) -> Result<usize> {
        let index = self.master_index()?;
        self.node(index).command(&["FAILOVER", "TIMEOUT", "5000"])?;
        self.node(index)
            .wait_for_role(Role::Replica, SETTLED_WITHIN)?;
        Ok(index)
    }

    /// Waits until most of the serving Sentinels name another master than `old`, and that one says so itself.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] after 75 seconds.
    pub fn wait_for_new_master(&self, old: usize) -> Result<usize> {
        wait::wait_for("a new master", SETTLED_WITHIN, || {
            let index = self.agreed_master()?;
            if index == old {
                return Err(format!("node {old} is still named"));
            }
            match self.node(index).role() {
                Ok(Role::Master) => Ok(index),
                Ok(role) => Err(format!("node {index} is named, but is {role}")),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    /// Waits until everybody who serves agrees on one healthy master, follows it, and a failover would find a replica.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] after 75 seconds, with what was still amiss.
    pub fn wait_until_stable(&self) -> Result<()> {
        wait::wait_for("a stable cluster", SETTLED_WITHIN, || self.stable())
    }

    /// Kills every process of the cluster, as a power cut would.
    pub fn kill_all(&self) {
        thread::scope(|scope| {
            for node in &self.nodes {
                scope.spawn(|| node.kill());
            }
            for sentinel in &self.sentinels {
                scope.spawn(|| sentinel.kill());
            }
        });
    }
}
