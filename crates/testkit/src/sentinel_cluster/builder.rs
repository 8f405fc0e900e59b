//! Describing a cluster before it is started.

use std::{path::PathBuf, time::Duration};

use super::SentinelCluster;
use crate::{
    error::{Error, Result},
    netns::Host,
    process::together,
    proxy::Proxy,
    redis_server::{RedisServer, RedisServerBuilder},
    sentinel_server::SentinelServer,
    wait,
};

/// A cluster to be; made by [`SentinelCluster::builder`].
#[derive(Debug, Clone)]
pub struct SentinelClusterBuilder {
    replicas: usize,
    sentinels: usize,
    quorum: u32,
    service: String,
    down_after: Duration,
    failover_timeout: Duration,
    password: Option<String>,
    sentinel_password: Option<String>,
    fast_periods: bool,
    binary: Option<PathBuf>,
    node: RedisServerBuilder,
    places: Vec<Host>,
    sentinel_places: Option<Vec<Host>>,
    proxied: bool,
    sentinel_directives: Vec<(String, String)>,
}

impl Default for SentinelClusterBuilder {
    fn default() -> Self {
        Self {
            replicas: 2,
            sentinels: 3,
            quorum: 2,
            service: "mymaster".to_owned(),
            down_after: Duration::from_millis(500),
            failover_timeout: Duration::from_secs(1),
            password: None,
            sentinel_password: None,
            fast_periods: true,
            binary: None,
            node: RedisServerBuilder::default(),
            places: vec![Host::loopback()],
            sentinel_places: None,
            proxied: false,
            sentinel_directives: Vec::new(),
        }
    }
}

impl SentinelClusterBuilder {
    /// How many replicas the master has, 2 by default.
    #[must_use]
    pub fn replicas(mut self, count: usize) -> Self {
        self.replicas = count;
        self
    }

    /// How many Sentinels watch, 3 by default.
    #[must_use]
    pub fn sentinels(mut self, count: usize) -> Self {
        self.sentinels = count;
        self
    }

    /// How many Sentinels must find the master dead, 2 by default.
    #[must_use]
    pub fn quorum(mut self, quorum: u32) -> Self {
        self.quorum = quorum;
        self
    }

    /// The name of the watched master, `mymaster` by default.
    #[must_use]
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.service = name.into();
        self
    }

    /// How long the master may be silent, 500 ms by default.
    #[must_use]
    pub fn down_after(mut self, time: Duration) -> Self {
        self.down_after = time;
        self
    }

    /// Sentinel's `failover-timeout`, 1 s by default; twice this passes between two failovers.
    #[must_use]
    pub fn failover_timeout(mut self, time: Duration) -> Self {
        self.failover_timeout = time;
        self
    }

    /// The password of the data nodes; none by default.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// The password of the Sentinels; none by default.
    #[must_use]
    pub fn sentinel_password(mut self, password: impl Into<String>) -> Self {
        self.sentinel_password = Some(password.into());
        self
    }

    /// Whether to shorten Sentinel's built-in periods, where the server can (Redis 7). On by default.
    #[must_use]
    pub fn fast_periods(mut self, fast: bool) -> Self {
        self.fast_periods = fast;
        self
    }

    /// Another server program than `redis-server` or the one named by `LEASEHOLD_REDIS_SERVER`.
    #[must_use]
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// What all data nodes have in common; port, password and master are set by the cluster.
    #[must_use]
    pub fn node(mut self, node: RedisServerBuilder) -> Self {
        self.node = node;
        self
    }

    /// One directive of every node's `redis.conf`.
    #[must_use]
    pub fn node_config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.node = self.node.config(key, value);
        self
    }

    /// Give every data node a wall clock of its own; see [`RedisServerBuilder::clock_shim`]. Off by default.
    #[must_use]
    pub fn clock_shim(mut self, shimmed: bool) -> Self {
        self.node = self.node.clock_shim(shimmed);
        self
    }

    /// Spread over the hosts of a [`Network`](crate::netns::Network): node and Sentinel 0 on the first, and so on,
    /// beginning again when there are fewer hosts.
    ///
    /// # Panics
    ///
    /// When there are no hosts.
    #[must_use]
    pub fn on(mut self, hosts: &[Host]) -> Self {
        assert!(!hosts.is_empty(), "a cluster needs a host to run on");
        self.places = hosts.to_vec();
        self
    }

    /// Put the Sentinels on other hosts than the data nodes, so that the links between nodes can fail unseen by them.
    ///
    /// # Panics
    ///
    /// When there are no hosts.
    #[must_use]
    pub fn sentinels_on(mut self, hosts: &[Host]) -> Self {
        assert!(!hosts.is_empty(), "the Sentinels need a host to run on");
        self.sentinel_places = Some(hosts.to_vec());
        self
    }

    /// Put a [`Proxy`] in front of every data node, under whose address replicas, Sentinels and clients know it: a
    /// partition without root. Off by default.
    ///
    /// A proxy in [`Mode::Blackhole`](crate::Mode::Blackhole) cuts its node off from all who come through it; a client
    /// with the [`address_map`](SentinelCluster::address_map) stays on the node's side.
    #[must_use]
    pub fn proxied(mut self, proxied: bool) -> Self {
        self.proxied = proxied;
        self
    }

    /// One directive of every Sentinel's `sentinel.conf`.
    #[must_use]
    pub fn sentinel_config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.sentinel_directives.push((key.into(), value.into()));
        self
    }

    /// Starts everything and waits until all know each other and a failover would succeed.
    ///
    /// # Errors
    ///
    /// [`Error::MissingBinary`] without Redis on the machine, [`Error::NotReady`] or
    /// [`Error::Timeout`] when the cluster does not come up.
    pub fn start(self) -> Result<SentinelCluster> {
        let proxies = self.make_proxies()?;
        let master = self.start_node(0, &proxies, None)?;
        let host = master.host().to_owned();
        let port = proxies.first().map_or_else(|| master.port(), Proxy::port);
        let mut nodes = vec![master];
        nodes.extend(together(self.replicas, |index| {
            self.start_node(index + 1, &proxies, Some((&host, port)))
        })?);
        self.wait_for_links(&nodes, port)?;
        let sentinels = together(self.sentinels, |index| self.sentinel(index, &host, port))?;
        let cluster = SentinelCluster {
            service: self.service,
            quorum: self.quorum,
            password: self.password,
            sentinel_password: self.sentinel_password,
            nodes,
            proxies,
            sentinels,
        };
        cluster.wait_until_stable()?;
        Ok(cluster)
    }

    /// Made before the nodes, which must know the ports to announce; each learns its target when its node is up.
    fn make_proxies(&self) -> Result<Vec<Proxy>> {
        if !self.proxied {
            return Ok(Vec::new());
        }
        if self.places.iter().any(|place| *place != Host::loopback()) {
            let reason = "proxies listen on the loopback interface only".to_owned();
            return Err(Error::Unavailable {
                feature: "a proxied cluster on other hosts",
                reason,
            });
        }
        (0..=self.replicas)
            .map(|_| Proxy::start("127.0.0.1:0"))
            .collect()
    }

    fn start_node(
        &self,
        index: usize,
        proxies: &[Proxy],
        master: Option<(&str, u16)>,
    ) -> Result<RedisServer> {
        let mut node = self
            .node
            .clone()
            .on(&self.places[index % self.places.len()]);
        if let Some(password) = &self.password {
            node = node.password(password);
        }
        if let Some(path) = &self.binary {
            node = node.binary(path);
        }
        if let Some((host, port)) = master {
            node = node.replica_of(host, port);
        }
        let Some(proxy) = proxies.get(index) else {
            return node.start();
        };
        node = node.config("replica-announce-ip", "127.0.0.1");
        node = node.config("replica-announce-port", proxy.port().to_string());
        let node = node.start()?;
        proxy.retarget(node.address());
        Ok(node)
    }

    /// A Sentinel learns of replicas from the master's `INFO`, so those must be there when it first asks.
    fn wait_for_links(&self, nodes: &[RedisServer], master: u16) -> Result<()> {
        for replica in &nodes[1..] {
            let what = format!("{} to follow the master", replica.name());
            wait::wait_for(what, super::SETTLED_WITHIN, || match replica.follows() {
                Ok(Some(port)) if port == master => Ok(()),
                Ok(_) => Err("the link is down".to_owned()),
                Err(error) => Err(error.to_string()),
            })?;
        }
        Ok(())
    }

    fn sentinel(&self, index: usize, host: &str, port: u16) -> Result<SentinelServer> {
        let places = self.sentinel_places.as_ref().unwrap_or(&self.places);
        let mut sentinel = SentinelServer::builder(host, port)
            .on(&places[index % places.len()])
            .service(&self.service)
            .quorum(self.quorum)
            .down_after(self.down_after)
            .failover_timeout(self.failover_timeout)
            .fast_periods(self.fast_periods);
        if let Some(password) = &self.password {
            sentinel = sentinel.node_password(password);
        }
        if let Some(password) = &self.sentinel_password {
            sentinel = sentinel.password(password);
        }
        if let Some(path) = &self.binary {
            sentinel = sentinel.binary(path);
        }
        for (key, value) in &self.sentinel_directives {
            sentinel = sentinel.config(key, value);
        }
        sentinel.start()
    }
}
