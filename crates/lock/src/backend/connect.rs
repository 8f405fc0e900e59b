//! From the configuration to a backend that is ready to be asked.

use std::sync::Arc;
use std::time::Duration;

use leasehold_config::{
    AddressMap, ClusterTopology, LockOptions, NodeOptions, QuorumTopology, Safety,
    SentinelTopology, StandaloneTopology, Tls, Topology as Configured,
};

use crate::backend::Backend;
use crate::backend::cluster::{Cluster, ClusterParts};
use crate::backend::quorum::Quorum;
use crate::backend::single::{Modes, Single};
use crate::error::Error;
use crate::lifecycle::wait_queue::Waiting;
use crate::master::gate::GateSettings;
use crate::master::source::Source;
use crate::master::supervision::Supervision;
use crate::master::takeover::Replicas;
use crate::master::topology::Topology;
use crate::protocol::fences::Counters;
use crate::protocol::keys::GateKeys;
use crate::protocol::waiter::Waiter;
use crate::protocol::wakeups::{Calls, WaiterCall};
use crate::sentinel::Sentinels;
use crate::transport::connection::ConnectionSettings;
use crate::transport::tls::TlsClient;
use crate::unavailable::{Part, Unavailable};

/// How long a Sentinel may take to accept a connection or to answer.
const SENTINEL_PATIENCE: Duration = Duration::from_millis(500);

/// Connects as configured. Returns the backend and how long one operation on it may go unanswered.
pub(crate) async fn connect(
    configured: Configured,
    lock: &LockOptions,
    client_name: Option<String>,
    waiting: &Arc<Waiting>,
) -> Result<(Backend, Duration), Error> {
    let connector = Connector {
        lock,
        client_name,
        waiting,
    };
    match configured {
        Configured::Standalone(standalone) => {
            let operation_timeout = 2 * standalone.nodes.command_timeout;
            let part = Part::Server;
            let single = connector.standalone(standalone, part, lock.safety == Safety::Strict)?;
            single.topology().first_attempt().await?;
            Ok((Backend::Single(single), operation_timeout))
        }
        Configured::Sentinel(sentinel) => {
            let operation_timeout = 2 * sentinel.nodes.command_timeout;
            let single = connector.sentinel(sentinel)?;
            single.topology().first_attempt().await?;
            Ok((Backend::Single(single), operation_timeout))
        }
        Configured::Quorum(quorum) => {
            let operation_timeout = quorum
                .members
                .iter()
                .map(|member| 2 * member.nodes.command_timeout);
            let operation_timeout = operation_timeout.max().unwrap_or_default();
            let quorum = connector.quorum(quorum)?;
            quorum.first_attempt().await?;
            Ok((Backend::Quorum(quorum), operation_timeout))
        }
        Configured::Cluster(cluster) => {
            let operation_timeout = 2 * cluster.nodes.command_timeout;
            Ok((
                Backend::Cluster(Box::new(connector.cluster(cluster).await?)),
                operation_timeout,
            ))
        }
        _ => {
            let feature = "this topology".to_owned();
            let instead = "configure Sentinel, one Redis, a cluster, or independent masters";
            Err(Error::Unsupported { feature, instead })
        }
    }
}

struct Connector<'a> {
    lock: &'a LockOptions,
    client_name: Option<String>,
    waiting: &'a Arc<Waiting>,
}

impl Connector<'_> {
    fn standalone(
        &self,
        standalone: StandaloneTopology,
        part: Part,
        gated: bool,
    ) -> Result<Single, Error> {
        self.fixed(standalone, part, gated, self.waiter()?)
    }

    fn fixed(
        &self,
        standalone: StandaloneTopology,
        part: Part,
        gated: bool,
        waiter: Waiter,
    ) -> Result<Single, Error> {
        let source = Source::Fixed(standalone.endpoint, part);
        let (nodes, address_map) = (standalone.nodes, AddressMap::default());
        // One node is a majority of itself: there is nothing to confirm elsewhere.
        self.single(source, &nodes, address_map, (false, gated), waiter)
    }

    fn sentinel(&self, sentinel: SentinelTopology) -> Result<Single, Error> {
        let strict = self.lock.safety == Safety::Strict;
        if !strict {
            tracing::info!(
                "LOCK_SAFETY=relaxed: a failover can leave two holders of one resource for up to \
                 one TTL; the fence tells them apart"
            );
        }
        let settings = ConnectionSettings {
            credentials: sentinel.credentials,
            database: 0,
            connect_timeout: SENTINEL_PATIENCE,
            command_timeout: SENTINEL_PATIENCE,
            client_name: self.client_name.clone(),
            tls: load(sentinel.tls.as_ref())?,
        };
        let address_map = sentinel.address_map.clone();
        let sentinels = Sentinels::start(
            &sentinel.sentinels,
            &sentinel.service,
            settings,
            sentinel.address_map,
        );
        let source = Source::Sentinels(Box::new(sentinels));
        let nodes = &sentinel.nodes;
        self.single(source, nodes, address_map, (strict, strict), self.waiter()?)
    }

    fn quorum(&self, quorum: QuorumTopology) -> Result<Quorum, Error> {
        let count = quorum.members.len();
        if count < 3 || count.is_multiple_of(2) {
            tracing::warn!(
                members = count,
                "an odd number of at least 3 independent masters is what a majority is good for"
            );
        }
        // The same at every member, so that all of them have the same order where two arrived at once.
        let waiter = self.waiter()?;
        let members = quorum.members.into_iter().map(|member| {
            let endpoint = member.endpoint.clone();
            // Every member has its gate: one that came back empty must not vote at once.
            let single = self.fixed(member, Part::Member, true, waiter.clone())?;
            Ok((endpoint, single))
        });
        Ok(Quorum::new(members.collect::<Result<_, Error>>()?))
    }

    async fn cluster(&self, cluster: ClusterTopology) -> Result<Cluster, Error> {
        if self.lock.safety == Safety::Strict {
            return Err(Error::Unsupported {
                feature: "LOCK_SAFETY=strict with a Redis Cluster".to_owned(),
                instead: "set LOCK_SAFETY=relaxed, or use Sentinel or independent masters where two \
                          holders at a failover must not be",
            });
        }
        tracing::info!(
            "a failover of the cluster can leave two holders of one resource for up to one TTL; \
             the fence tells them apart"
        );
        let waiter = self.waiter()?;
        let settings = self.settings(&cluster.nodes)?;
        let gate = self.gate_settings(&settings, cluster.address_map.clone());
        let parts = ClusterParts {
            seeds: cluster.seeds,
            address_map: cluster.address_map,
            settings,
            calls: calls(&waiter, self.waiting),
            waiter,
            key_prefix: self.lock.key_prefix.clone(),
            gate,
        };
        Ok(Cluster::connect(parts).await?)
    }

    fn waiter(&self) -> Result<Waiter, Error> {
        Waiter::random(self.lock.retry_interval).map_err(Error::random)
    }

    fn settings(&self, nodes: &NodeOptions) -> Result<ConnectionSettings, Error> {
        Ok(ConnectionSettings {
            credentials: nodes.credentials.clone(),
            database: nodes.database,
            connect_timeout: nodes.connect_timeout,
            command_timeout: nodes.command_timeout,
            client_name: self.client_name.clone(),
            tls: load(nodes.tls.as_ref())?,
        })
    }

    fn gate_settings(&self, nodes: &ConnectionSettings, address_map: AddressMap) -> GateSettings {
        GateSettings {
            longest: self.lock.max_ttl,
            max_clock_skew: self.lock.max_clock_skew,
            owner: self.lock.owner.clone(),
            replicas: Replicas {
                settings: nodes.clone(),
                address_map,
            },
        }
    }

    fn single(
        &self,
        source: Source,
        nodes: &NodeOptions,
        address_map: AddressMap,
        (confirms, gated): (bool, bool),
        waiter: Waiter,
    ) -> Result<Single, Error> {
        let settings = self.settings(nodes)?;
        let calls = calls(&waiter, self.waiting);
        let gate = self.gate_settings(&settings, address_map);
        let topology = Topology::start(
            source,
            Supervision {
                settings,
                confirms,
                gate: gated.then(|| GateKeys::new(&self.lock.key_prefix).into()),
                calls,
            },
        );
        Ok(Single::new(
            topology,
            waiter,
            Counters::one(&self.lock.key_prefix),
            Some(Modes::new(
                &self.lock.key_prefix,
                self.lock.allow_mixed_safety,
            )),
            gate,
        ))
    }
}

/// Passes calls from Redis on to the waiters of this process.
fn calls(waiter: &Waiter, waiting: &Arc<Waiting>) -> Calls {
    let waiting = waiting.clone();
    let on_call = Arc::new(move |call: WaiterCall<'_>| match call {
        WaiterCall::Free(name) => waiting.called(name),
        WaiterCall::Soon(name) => waiting.soon(name),
        WaiterCall::Changed(key) => waiting.changed(key),
    });
    Calls {
        channel: waiter.channel(),
        on_call,
    }
}

/// Reads the certificates and keys that the configuration names.
fn load(tls: Option<&Tls>) -> Result<Option<TlsClient>, Unavailable> {
    tls.map(TlsClient::load)
        .transpose()
        .map_err(Unavailable::new)
}
