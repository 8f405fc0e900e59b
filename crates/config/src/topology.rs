//! Which servers keep the locks.

use crate::address_map::AddressMap;
use crate::endpoint::Endpoint;
use crate::nodes::{Credentials, NodeOptions, Tls};

/// Whether locks are taken at all.
///
/// ```
/// use leasehold_config::{Endpoint, Locking, StandaloneTopology};
///
/// let locking = Locking::from(StandaloneTopology::new(Endpoint::new("localhost", 6379)));
/// assert!(matches!(locking, Locking::Enabled(_)));
/// ```
#[allow(
    clippy::large_enum_variant,
    reason = "a program has one of these, and a box would be in everybody's way"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Locking {
    /// Every lock is granted at once and excludes nobody.
    Disabled,
    /// Locks are kept by these servers.
    Enabled(Topology),
}

/// The servers that keep the locks, and how to find the one to ask.
///
/// ```
/// use leasehold_config::{Endpoint, SentinelTopology, Topology};
///
/// let sentinels = [Endpoint::new("sentinel-1", 26379), Endpoint::new("sentinel-2", 26379)];
/// let topology = Topology::from(SentinelTopology::new(sentinels, "mymaster"));
/// assert!(matches!(topology, Topology::Sentinel(_)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Topology {
    /// One master that the Sentinels name, with replicas to take its place.
    Sentinel(SentinelTopology),
    /// One server at a fixed address.
    Standalone(StandaloneTopology),
    /// A Redis Cluster: the master of the lock's hash slot.
    Cluster(ClusterTopology),
    /// A majority of independent masters.
    Quorum(QuorumTopology),
}

/// A master and its replicas, watched by Sentinels.
///
/// ```
/// use leasehold_config::{Credentials, Endpoint, SentinelTopology};
///
/// let sentinels = (1..=3).map(|n| Endpoint::new(format!("sentinel-{n}"), 26379));
/// let mut topology = SentinelTopology::new(sentinels, "mymaster");
/// topology.nodes.credentials = Credentials::password("correct horse");
/// assert_eq!(topology.sentinels.len(), 3);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SentinelTopology {
    /// The Sentinels to ask, each once.
    pub sentinels: Vec<Endpoint>,
    /// The name under which the Sentinels know the master.
    pub service: String,
    /// Who logs in at the Sentinels.
    pub credentials: Credentials,
    /// TLS to the Sentinels, or `None` for plain connections.
    pub tls: Option<Tls>,
    /// How to connect to master and replicas.
    pub nodes: NodeOptions,
    /// Translates the addresses that the Sentinels announce.
    pub address_map: AddressMap,
}

impl SentinelTopology {
    /// Sentinels and the master's name, without passwords or TLS.
    pub fn new(sentinels: impl IntoIterator<Item = Endpoint>, service: impl Into<String>) -> Self {
        Self {
            sentinels: sentinels.into_iter().collect(),
            service: service.into(),
            credentials: Credentials::default(),
            tls: None,
            nodes: NodeOptions::default(),
            address_map: AddressMap::default(),
        }
    }
}

/// One server at a fixed address.
///
/// ```
/// use leasehold_config::{Endpoint, StandaloneTopology};
///
/// let topology = StandaloneTopology::new(Endpoint::new("localhost", 6379));
/// assert_eq!(topology.endpoint.to_string(), "localhost:6379");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StandaloneTopology {
    /// The server.
    pub endpoint: Endpoint,
    /// How to connect to it.
    pub nodes: NodeOptions,
}

impl StandaloneTopology {
    /// A server without password or TLS.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            nodes: NodeOptions::default(),
        }
    }
}

/// A Redis Cluster.
///
/// ```
/// use leasehold_config::{ClusterTopology, Endpoint};
///
/// let topology = ClusterTopology::new([Endpoint::new("cluster-1", 6379)]);
/// assert!(topology.address_map.is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterTopology {
    /// Nodes to ask for the others, each once.
    pub seeds: Vec<Endpoint>,
    /// How to connect to every node.
    pub nodes: NodeOptions,
    /// Translates the addresses that the nodes announce.
    pub address_map: AddressMap,
}

impl ClusterTopology {
    /// Seeds, without password or TLS.
    pub fn new(seeds: impl IntoIterator<Item = Endpoint>) -> Self {
        Self {
            seeds: seeds.into_iter().collect(),
            nodes: NodeOptions::default(),
            address_map: AddressMap::default(),
        }
    }
}

/// Independent masters, a majority of which must grant a lock.
///
/// ```
/// use leasehold_config::{Endpoint, QuorumTopology, StandaloneTopology};
///
/// let members = (1..=3).map(|n| StandaloneTopology::new(Endpoint::new(format!("redis-{n}"), 6379)));
/// assert_eq!(QuorumTopology::new(members).members.len(), 3);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuorumTopology {
    /// The masters, each once; none replicates another.
    pub members: Vec<StandaloneTopology>,
}

impl QuorumTopology {
    /// Independent masters, three or five of them as a rule.
    pub fn new(members: impl IntoIterator<Item = StandaloneTopology>) -> Self {
        Self {
            members: members.into_iter().collect(),
        }
    }
}

impl From<SentinelTopology> for Topology {
    fn from(topology: SentinelTopology) -> Self {
        Self::Sentinel(topology)
    }
}

impl From<StandaloneTopology> for Topology {
    fn from(topology: StandaloneTopology) -> Self {
        Self::Standalone(topology)
    }
}

impl From<ClusterTopology> for Topology {
    fn from(topology: ClusterTopology) -> Self {
        Self::Cluster(topology)
    }
}

impl From<QuorumTopology> for Topology {
    fn from(topology: QuorumTopology) -> Self {
        Self::Quorum(topology)
    }
}

impl<T: Into<Topology>> From<T> for Locking {
    fn from(topology: T) -> Self {
        Self::Enabled(topology.into())
    }
}
