//! A cluster whose processes get new ports behind stable addresses, as pods do.

use crate::{
    error::Result,
    proxy::Proxy,
    sentinel_cluster::{SentinelCluster, SentinelClusterBuilder},
};

/// A [`SentinelCluster`] whose Sentinels and data nodes can be moved to other ports.
///
/// One address, as that of a Kubernetes Service, leads to all Sentinels in turn. The data nodes are announced by
/// addresses that stay, as those of a headless Service with a name for each pod; the Sentinels announce where they are.
///
/// ```no_run
/// use leasehold_testkit::{MovingCluster, SentinelCluster};
///
/// let moving = MovingCluster::start(SentinelCluster::builder())?;
/// // … a client is given moving.service_address() …
/// for index in 0..3 {
///     moving.move_sentinel(index)?;
///     moving.cluster().wait_until_stable()?;
/// }
/// # Ok::<(), leasehold_testkit::Error>(())
/// ```
#[derive(Debug)]
pub struct MovingCluster {
    cluster: SentinelCluster,
    service: Proxy,
}

impl MovingCluster {
    /// Starts the cluster, with a proxy in front of each data node and one in front of all Sentinels.
    ///
    /// # Errors
    ///
    /// Those of [`SentinelClusterBuilder::start`].
    pub fn start(builder: SentinelClusterBuilder) -> Result<Self> {
        let cluster = builder.proxied(true).start()?;
        let service = Proxy::start("127.0.0.1:0")?;
        service.spread_over(cluster.sentinel_addresses());
        Ok(Self { cluster, service })
    }

    /// The cluster as it is now.
    #[must_use]
    pub fn cluster(&self) -> &SentinelCluster {
        &self.cluster
    }

    /// The address that leads to all Sentinels in turn.
    #[must_use]
    pub fn service_address(&self) -> String {
        self.service.address()
    }

    /// What stands at that address.
    #[must_use]
    pub fn service(&self) -> &Proxy {
        &self.service
    }

    /// Restarts a Sentinel on another port. While it is down, nobody is sent to it.
    ///
    /// Does not wait until the others have noticed; see [`SentinelCluster::wait_until_stable`].
    ///
    /// # Errors
    ///
    /// Those of [`SentinelServer::move_to_another_port`](crate::SentinelServer::move_to_another_port).
    pub fn move_sentinel(&self, index: usize) -> Result<()> {
        let addresses = self.cluster.sentinel_addresses();
        let others = addresses.iter().enumerate();
        let others = others.filter(|(other, _)| *other != index);
        self.service
            .spread_over(others.map(|(_, address)| address.clone()));
        self.cluster.sentinel(index).move_to_another_port()?;
        self.service.spread_over(self.cluster.sentinel_addresses());
        Ok(())
    }

    /// Restarts a data node on another port, behind the address that it announces.
    ///
    /// # Errors
    ///
    /// Those of [`RedisServer::move_to_another_port`](crate::RedisServer::move_to_another_port).
    pub fn move_node(&self, index: usize) -> Result<()> {
        let node = self.cluster.node(index);
        let proxy = self.cluster.proxy(index);
        node.move_to_another_port()?;
        proxy.retarget(node.address());
        proxy.cut();
        Ok(())
    }
}
