//! Where it all takes place: a cluster, and a network that can be broken.
//!
//! As root every server and client lives in a network namespace of its own, and partitions are real. Without root the
//! servers know each other through proxies, which can fall silent.

use leasehold_testkit::{
    Mode, Proxy, RedisServer, RedisServerBuilder, Result, SentinelCluster, netns,
};

use super::schedule::Fault;

/// How many data nodes, and how many Sentinels.
pub const SERVERS: usize = 3;

/// The cluster, and what stands between its processes.
#[derive(Debug)]
pub struct Arena {
    /// The servers.
    pub cluster: SentinelCluster,
    /// Real hosts: data nodes, then Sentinels, then clients.
    pub network: Option<netns::Network>,
    /// As root, what stands between the clients without a host of their own and the servers: data nodes first, then
    /// Sentinels. Without root, what stands between some clients and the Sentinels.
    pub proxies: Vec<Proxy>,
}

impl Arena {
    /// Sets up the servers, and a place for each client.
    ///
    /// # Errors
    ///
    /// When the servers do not come up.
    pub fn start(clients: usize) -> Result<Self> {
        if netns::available().is_ok() {
            return Self::in_namespaces(clients);
        }
        let cluster = SentinelCluster::builder()
            .node(node(false))
            .proxied(true)
            .start()?;
        let proxies = cluster
            .sentinel_addresses()
            .into_iter()
            .map(Proxy::start)
            .collect::<Result<_>>()?;
        Ok(Self {
            cluster,
            network: None,
            proxies,
        })
    }

    fn in_namespaces(clients: usize) -> Result<Self> {
        let network = netns::Network::start(2 * SERVERS + clients)?;
        let hosts = network.hosts();
        let cluster = SentinelCluster::builder()
            .node(node(true))
            .on(&hosts[..SERVERS])
            .sentinels_on(&hosts[SERVERS..2 * SERVERS])
            .start()?;
        let nodes = cluster.nodes().iter().map(|node| node.address());
        let addresses = nodes.chain(cluster.sentinel_addresses());
        let proxies = addresses.map(Proxy::start).collect::<Result<_>>()?;
        Ok(Self {
            cluster,
            network: Some(network),
            proxies,
        })
    }

    /// The faults that can be made here.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        use Fault::{
            ClockBack, CopyData, CutReplication, DoubleFailover, EmptyMaster, EmptyReplica,
            Failover, FailoversInRow, Flush, IsolateClient, IsolateMaster, KillClient, KillMaster,
            KillReplica, KillSentinel, Latency, Listen, Loss, LostReplies, MoveSentinel,
            OverlappingFailovers, PauseClient, PauseMaster, PauseReplica, PauseSentinel,
            ResetStatistics, RestartReplica, ScriptFlush, Silence, Skew, SnapshotReplica,
            SupervisedMaster,
        };
        let mut faults = vec![
            KillMaster,
            SupervisedMaster,
            RestartReplica,
            SnapshotReplica,
            MoveSentinel,
            CopyData,
            Listen,
            ResetStatistics,
            FailoversInRow,
            KillReplica,
            KillSentinel,
            KillClient,
            EmptyMaster,
            EmptyReplica,
            PauseMaster,
            PauseReplica,
            PauseSentinel,
            PauseClient,
            IsolateMaster,
            Failover,
            DoubleFailover,
            OverlappingFailovers,
            Flush,
            ScriptFlush,
            Latency,
        ];
        if self.network.is_some() {
            faults.extend([
                IsolateClient,
                CutReplication,
                Loss,
                Skew,
                ClockBack,
                LostReplies,
                Silence,
            ]);
        }
        faults
    }

    /// Where a client runs: on a host of its own, or on the loopback interface if that has no number.
    #[must_use]
    pub fn host(&self, client: usize, clients: usize) -> Option<usize> {
        self.network.as_ref()?;
        // The last two go through the proxies, which listen on the loopback interface only.
        (client + 2 < clients).then_some(2 * SERVERS + client)
    }

    /// The variables by which a client finds the servers.
    #[must_use]
    pub fn variables(&self, client: usize, clients: usize) -> Vec<(String, String)> {
        let mut variables = self.cluster.env();
        let is_behind_proxies = match self.network {
            Some(_) => self.host(client, clients).is_none(),
            // Half of the clients stay on the side of a node that is parted from the others.
            None => client.is_multiple_of(2),
        };
        if !is_behind_proxies {
            return variables;
        }
        let mut servers = self.cluster.sentinel_addresses();
        let mut map = Vec::new();
        if self.network.is_some() {
            let nodes = self.cluster.nodes().iter().map(|node| node.address());
            servers = nodes.chain(servers).collect();
        } else {
            map.push(self.cluster.address_map());
        }
        let proxied = servers.iter().zip(&self.proxies);
        map.extend(proxied.map(|(server, proxy)| format!("{server}={}", proxy.address())));
        variables.push(("REDIS_ADDRESS_MAP".into(), map.join(",")));
        let sentinels = &self.proxies[self.proxies.len() - SERVERS..];
        let sentinels: Vec<String> = sentinels.iter().map(Proxy::address).collect();
        variables.retain(|(name, _)| name != "REDIS_SENTINEL_HOSTS");
        variables.push(("REDIS_SENTINEL_HOSTS".into(), sentinels.join(",")));
        variables
    }

    /// The proxies that the nemesis may put into a mode.
    #[must_use]
    pub fn breakable_proxies(&self) -> &[Proxy] {
        if self.network.is_some() {
            &self.proxies
        } else {
            self.cluster.proxies()
        }
    }

    /// Without namespaces: parts a node, and the clients on its side, from everybody else; or joins them again.
    ///
    /// # Errors
    ///
    /// When a proxy cannot be set.
    pub fn part(&self, node: usize, parted: bool) -> Result<()> {
        let mode = if parted { Mode::Blackhole } else { Mode::Pass };
        self.proxies
            .iter()
            .try_for_each(|proxy| proxy.set_mode(mode))?;
        self.cluster.proxy(node).set_mode(mode)
    }

    /// Ends every fault of the network.
    pub fn heal(&self) {
        if let Some(network) = &self.network {
            let _ = network.heal();
        }
        for proxy in self.cluster.proxies().iter().chain(&self.proxies) {
            let _ = proxy.set_mode(Mode::Pass);
        }
    }
}

/// A data node that keeps its data over a kill, so that losing them is a fault of its own.
fn node(shimmed: bool) -> RedisServerBuilder {
    RedisServer::builder()
        .append_only(true)
        .clock_shim(shimmed)
        // Two nodes may have to copy the data of a third within a second.
        .config("repl-diskless-sync", "yes")
        .config("repl-diskless-sync-delay", "0")
        .config("repl-timeout", "5")
}
