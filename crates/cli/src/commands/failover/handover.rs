//! The failover itself: writes are paused, the replicas have everything, Sentinel promotes one of them.

use std::time::Duration;

use leasehold::Unavailable;
use leasehold::config::Endpoint;
use leasehold::probe::{Answer, Hop, Probe};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::checks::{DataNode, Deployment, PAUSE, answer_number, standing, unusable};
use crate::duration::shown;
use crate::exit::{self, Failure};
use crate::servers::replicas;

/// How long the replicas may take to have what the master wrote.
const IN_STEP_WITHIN: Duration = Duration::from_millis(1500);
/// How long writes stay paused for Sentinel to promote a replica.
const NAMED_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks.
const TICK: Duration = Duration::from_millis(15);
/// The pause is extended after so long.
const EXTENDED_AFTER: Duration = Duration::from_millis(500);
/// During a failover Sentinel asks a replica for `INFO` one second after the last time, and learns only
/// by that of the promotion, which takes it about 300 ms. So the pause is shortest if the failover begins
/// at this age of the last answer.
const BEST_AGE_MS: std::ops::RangeInclusive<u64> = 500..=700;
/// Leases of this length outlive the longest pause; two thirds are left when a renewal is tried.
const SAFE_TTL: Duration = Duration::from_millis(4500);
/// Sentinel asks a replica every 10 s.
const BEST_AGE_WITHIN: Duration = Duration::from_secs(11);

/// What the failover has come to.
pub(super) struct Done {
    pub(super) new: DataNode,
    /// When a majority of the Sentinels named the new master, since the writes were paused.
    pub(super) paused: Duration,
}

/// Writes on the old master, paused from [`Pause::begin`] to [`Pause::end`].
pub(super) struct Pause {
    probe: Probe,
    began: Option<Instant>,
    extended: Option<Instant>,
    /// Sentinel was asked to promote a replica.
    pub(super) is_under_way: bool,
}

impl Pause {
    pub(super) fn new(probe: Probe) -> Self {
        Self {
            probe,
            began: None,
            extended: None,
            is_under_way: false,
        }
    }

    async fn begin(&mut self) -> Result<(), Failure> {
        // Set before, so that a pause whose reply is lost is ended as well.
        let began = self.began.get_or_insert_with(Instant::now);
        self.extended = Some(*began);
        self.ask().await.map_err(|error| unusable(&error))
    }

    async fn extend(&mut self) -> Result<(), Failure> {
        if self
            .extended
            .is_some_and(|extended| extended.elapsed() < EXTENDED_AFTER)
        {
            return Ok(());
        }
        self.extended = Some(Instant::now());
        self.ask().await.map_err(|error| unusable(&error))
    }

    async fn ask(&self) -> Result<(), Unavailable> {
        let limit = PAUSE.as_millis().to_string();
        let pause = ["CLIENT", "PAUSE", &limit, "WRITE"];
        self.probe.ask(&pause).await.map(|_| ())
    }

    fn elapsed(&self) -> Duration {
        self.began.map(|began| began.elapsed()).unwrap_or_default()
    }

    /// Lets writes go on. Where the server cannot be told, the pause ends by itself.
    pub(super) async fn end(&mut self, deployment: &Deployment<'_>) {
        if self.began.take().is_none() {
            return;
        }
        if self.probe.ask(&["CLIENT", "UNPAUSE"]).await.is_ok() {
            return;
        }
        let endpoint = deployment
            .sentinels
            .address_map
            .map(&deployment.master.announced);
        if let Ok(probe) = Probe::open(deployment.topology, Hop::Node, &endpoint).await {
            let _ = probe.ask(&["CLIENT", "UNPAUSE"]).await;
        }
    }
}

/// Pauses writes and has a Sentinel promote a replica. The caller ends the pause, whatever comes of it.
pub(super) async fn hand_over(
    deployment: &Deployment<'_>,
    pause: &mut Pause,
) -> Result<Done, Failure> {
    let ttl = deployment.config.lock.ttl;
    if !wait_for_best_age(deployment).await && ttl < SAFE_TTL {
        let message = format!(
            "nothing was changed: Sentinel asks the replicas at different times, so writes could be paused for up to \
             {}, and leases with LOCK_TTL {} could be lost: try again, or raise LOCK_TTL to {}",
            shown(PAUSE),
            shown(ttl),
            shown(SAFE_TTL)
        );
        return Err(Failure::new(super::checks::REFUSED, message));
    }
    pause.begin().await?;
    wait_in_step(deployment, pause).await?;
    pause.is_under_way = true;
    let service = &deployment.sentinels.service;
    let failover = ["SENTINEL", "FAILOVER", service];
    let asked = deployment.leader.ask(&failover).await;
    asked.map_err(|error| unusable(&error))?;
    let new = wait_for_promotion(deployment, pause).await?;
    follow(deployment, &new).await;
    wait_until_named(deployment, pause, &new.announced).await?;
    let paused = pause.elapsed();
    // The Sentinels would do it some seconds later. Until then writes would go to a deposed master.
    replicate_from(&deployment.master.probe, &new.announced).await;
    Ok(Done { new, paused })
}

/// Waits for the moment at which Sentinel will notice the promotion soonest. Nothing is paused as yet.
/// Returns whether there was one.
async fn wait_for_best_age(deployment: &Deployment<'_>) -> bool {
    let deadline = Instant::now() + BEST_AGE_WITHIN;
    let asked = ["SENTINEL", "REPLICAS", &deployment.sentinels.service];
    while Instant::now() < deadline {
        let Ok(answer) = deployment.leader.ask(&asked).await else {
            return false;
        };
        let ages: Vec<u64> = replicas(&answer)
            .filter(|replica| answer_number(replica, "slave-priority") != Some(0))
            .filter_map(|replica| answer_number(replica, "info-refresh"))
            .collect();
        let (least, most) = (ages.iter().min(), ages.iter().max());
        let (Some(&least), Some(&most)) = (least, most) else {
            return false;
        };
        if BEST_AGE_MS.contains(&least) && BEST_AGE_MS.contains(&most) {
            return true;
        }
        sleep(Duration::from_millis(40)).await;
    }
    false
}

/// Waits until every replica has what the master wrote. Only a PING of replication may come after that,
/// and it goes to all of them at once.
async fn wait_in_step(deployment: &Deployment<'_>, pause: &mut Pause) -> Result<(), Failure> {
    let deadline = Instant::now() + IN_STEP_WITHIN;
    loop {
        let master = standing(&deployment.master.probe).await;
        let master = master.map_err(|error| unusable(&error))?;
        let replicas = standings(&deployment.replicas).await;
        let behind: Vec<String> = deployment
            .replicas
            .iter()
            .zip(&replicas)
            .filter(|(_, offset)| **offset < master.offset)
            .map(|(node, _)| node.announced.to_string())
            .collect();
        let is_equal = replicas.windows(2).all(|pair| pair[0] == pair[1]);
        if behind.is_empty() && is_equal {
            return Ok(());
        }
        if Instant::now() > deadline {
            let message = format!(
                "nothing was changed: with writes paused for {}, the replicas did not reach the master's offset ({})",
                shown(IN_STEP_WITHIN),
                behind.join(", ")
            );
            return Err(Failure::new(super::checks::REFUSED, message));
        }
        pause.extend().await?;
        sleep(TICK).await;
    }
}

/// The offsets of all replicas, asked for at once.
async fn standings(replicas: &[DataNode]) -> Vec<Option<u64>> {
    let mut asking = JoinSet::new();
    for (at, node) in replicas.iter().cloned().enumerate() {
        asking.spawn(async move {
            let standing = standing(&node.probe).await;
            (at, standing.ok().and_then(|standing| standing.offset))
        });
    }
    let mut standings = asking.join_all().await;
    standings.sort_unstable_by_key(|(at, _)| *at);
    standings.into_iter().map(|(_, offset)| offset).collect()
}

async fn wait_for_promotion(
    deployment: &Deployment<'_>,
    pause: &mut Pause,
) -> Result<DataNode, Failure> {
    let limit = limit(deployment);
    while pause.elapsed() < limit {
        for node in &deployment.replicas {
            match standing(&node.probe).await {
                Ok(standing) if standing.is_master => return Ok(node.clone()),
                // Sentinel closes the connections of the one that it promotes.
                Err(_) => {
                    let endpoint = deployment.sentinels.address_map.map(&node.announced);
                    if let Some(promoted) = reopened(deployment, &endpoint).await {
                        return Ok(DataNode {
                            announced: node.announced.clone(),
                            probe: promoted,
                        });
                    }
                }
                Ok(_) => {}
            }
        }
        pause.extend().await?;
        sleep(TICK).await;
    }
    Err(too_late(limit, "no replica was promoted"))
}

/// A new connection to a node that is a master by now.
async fn reopened(deployment: &Deployment<'_>, endpoint: &Endpoint) -> Option<Probe> {
    let probe = Probe::open(deployment.topology, Hop::Node, endpoint).await;
    let probe = probe.ok()?;
    let standing = standing(&probe).await.ok()?;
    standing.is_master.then_some(probe)
}

/// Has the other replicas follow the new master before another PING of the old one sets them apart from it.
/// The Sentinels do the same, about a second later.
async fn follow(deployment: &Deployment<'_>, new: &DataNode) {
    for node in &deployment.replicas {
        if node.announced != new.announced {
            replicate_from(&node.probe, &new.announced).await;
        }
    }
}

/// Without the right to it, or without an answer, the Sentinels do it later.
async fn replicate_from(probe: &Probe, master: &Endpoint) {
    let port = master.port().to_string();
    let _ = probe.ask(&["REPLICAOF", master.host(), &port]).await;
}

async fn wait_until_named(
    deployment: &Deployment<'_>,
    pause: &mut Pause,
    new: &Endpoint,
) -> Result<(), Failure> {
    let limit = limit(deployment);
    let asked = [
        "SENTINEL",
        "GET-MASTER-ADDR-BY-NAME",
        &deployment.sentinels.service,
    ];
    while pause.elapsed() < limit {
        let mut naming = 0;
        for (_, sentinel) in &deployment.asked {
            let answer = sentinel.ask(&asked).await;
            let is_named = answer.is_ok_and(|answer| names(&answer) == Some(new.clone()));
            naming += usize::from(is_named);
        }
        if naming * 2 > deployment.count {
            return Ok(());
        }
        pause.extend().await?;
        sleep(TICK).await;
    }
    let told = format!("too few Sentinels name {new}");
    Err(too_late(limit, &told))
}

fn names(answer: &Answer) -> Option<Endpoint> {
    let [host, port] = answer.items() else {
        return None;
    };
    Some(Endpoint::new(host.text()?, port.text()?.parse().ok()?))
}

/// Longer than this the Sentinels could take the master whose writes are paused for dead.
fn limit(deployment: &Deployment<'_>) -> Duration {
    NAMED_WITHIN.min(deployment.view.down_after)
}

fn too_late(limit: Duration, told: &str) -> Failure {
    let message = format!(
        "{told} within {}; writes go on, and the Sentinels may still complete the failover: look at \
         `leasehold topology`",
        shown(limit)
    );
    Failure::new(exit::UNREACHABLE, message)
}
