//! What single servers say of themselves and of each other, read for people.

use std::time::Duration;

use leasehold::Unavailable;
use leasehold::config::{Endpoint, SentinelTopology, Topology};
use leasehold::probe::{Answer, Hop, Probe};
use tokio::task::JoinSet;

/// What one Sentinel says about the master.
#[derive(Debug, Clone)]
pub(crate) struct SentinelView {
    pub(crate) master: Endpoint,
    pub(crate) epoch: u64,
    pub(crate) flags: String,
    pub(crate) quorum: u64,
    pub(crate) others: u64,
    pub(crate) replicas: u64,
    pub(crate) down_after: Duration,
}

/// What a node says about replication.
#[derive(Debug, Clone)]
pub(crate) struct Replication {
    pub(crate) role: String,
    pub(crate) offset: u64,
    pub(crate) replicas: Vec<Replica>,
}

/// A replica as its master sees it.
#[derive(Debug, Clone)]
pub(crate) struct Replica {
    pub(crate) address: String,
    pub(crate) is_online: bool,
    pub(crate) offset: u64,
    /// Seconds since it was last heard of.
    pub(crate) lag: u64,
}

/// A server, and the connection to it or why there is none.
pub(crate) type Opened = (Endpoint, Result<Probe, Unavailable>);

/// Connects to several servers at once. They come back in the order in which they were given.
pub(crate) async fn open_all(topology: &Topology, hop: Hop, endpoints: &[Endpoint]) -> Vec<Opened> {
    let mut opening = JoinSet::new();
    for (at, endpoint) in endpoints.iter().cloned().enumerate() {
        let topology = topology.clone();
        opening.spawn(async move {
            let opened = Probe::open(&topology, hop, &endpoint).await;
            (at, (endpoint, opened))
        });
    }
    let mut opened = opening.join_all().await;
    opened.sort_by_key(|(at, _)| *at);
    opened.into_iter().map(|(_, opened)| opened).collect()
}

/// Connects to a Sentinel and asks for its view.
pub(crate) async fn sentinel_view(
    topology: &Topology,
    endpoint: &Endpoint,
    service: &str,
) -> Result<SentinelView, Unavailable> {
    let probe = Probe::open(topology, Hop::Sentinel, endpoint).await?;
    let answer = probe.ask(&["SENTINEL", "MASTER", service]).await?;
    Ok(read_view(&answer))
}

/// A server, and what it said or why it did not.
pub(crate) type Asked<T> = (Endpoint, Result<T, String>);

pub(crate) async fn views(
    topology: &Topology,
    configured: &SentinelTopology,
) -> Vec<Asked<SentinelView>> {
    let mut views = Vec::new();
    for endpoint in &configured.sentinels {
        let asked = sentinel_view(topology, endpoint, &configured.service).await;
        views.push((endpoint.clone(), asked.map_err(|error| error.to_string())));
    }
    views
}

/// Every node that some Sentinel takes for the master: one, as a rule.
pub(crate) fn masters(
    views: &[Asked<SentinelView>],
    configured: &SentinelTopology,
) -> Vec<Endpoint> {
    let mut masters: Vec<Endpoint> = Vec::new();
    for view in views.iter().filter_map(|(_, view)| view.as_ref().ok()) {
        let reachable = configured.address_map.map(&view.master);
        if !masters.contains(&reachable) {
            masters.push(reachable);
        }
    }
    masters
}

pub(crate) fn read_view(answer: &Answer) -> SentinelView {
    let text = |name: &str| answer.field(name).unwrap_or_default();
    let number = |name: &str| text(name).parse::<u64>().unwrap_or_default();
    let port = u16::try_from(number("port")).unwrap_or_default();
    SentinelView {
        master: Endpoint::new(text("ip"), port),
        epoch: number("config-epoch"),
        flags: text("flags"),
        quorum: number("quorum"),
        others: number("num-other-sentinels"),
        replicas: number("num-slaves"),
        down_after: Duration::from_millis(number("down-after-milliseconds")),
    }
}

/// The replicas in an answer to `SENTINEL REPLICAS`. At port 0 a Sentinel lists, for good, who once let the master send it
/// the data, such as `redis-cli --rdb`. That is no data node.
pub(crate) fn replicas(answer: &Answer) -> impl Iterator<Item = &Answer> {
    let replicas = answer.items().iter();
    replicas.filter(|replica| replica.field("port").as_deref() != Some("0"))
}

/// Asks a node about replication.
pub(crate) async fn replication(probe: &Probe) -> Result<Replication, Unavailable> {
    let answer = probe.ask(&["INFO", "replication"]).await?;
    Ok(read_replication(&answer.text().unwrap_or_default()))
}

pub(crate) fn read_replication(info: &str) -> Replication {
    let role = field(info, "role").unwrap_or_default();
    let replicas = (0..)
        .map_while(|number| field(info, &format!("slave{number}")))
        .filter(|line| !line.contains(",port=0,"))
        .map(|line| read_replica(&line))
        .collect();
    Replication {
        role,
        offset: number(info, "master_repl_offset"),
        replicas,
    }
}

/// `ip=…,port=…,state=online,offset=…,lag=…`
fn read_replica(line: &str) -> Replica {
    let part = |name: &str| {
        let mut parts = line.split(',').filter_map(|part| part.split_once('='));
        parts
            .find(|(key, _)| *key == name)
            .map_or("", |(_, value)| value)
    };
    Replica {
        address: format!("{}:{}", part("ip"), part("port")),
        is_online: part("state") == "online",
        offset: part("offset").parse().unwrap_or_default(),
        lag: part("lag").parse().unwrap_or_default(),
    }
}

/// A field of `INFO`.
pub(crate) fn field(info: &str, name: &str) -> Option<String> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(|value| value.trim().to_owned())
}

/// A number among the fields of `INFO`, 0 without it.
pub(crate) fn number(info: &str, name: &str) -> u64 {
    field(info, name)
        .and_then(|value| value.parse().ok())
        .unwrap_or_default()
}
