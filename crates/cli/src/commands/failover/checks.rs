//! What must be so before a failover, and what was found.

use std::collections::BTreeMap;
use std::time::Duration;

use leasehold::config::{Endpoint, Safety, SentinelTopology, Topology};
use leasehold::probe::{Answer, Hop, Probe};
use leasehold::{Cause, Config, Unavailable};

use crate::duration::shown;
use crate::exit::{self, Failure};
use crate::gate::{Gate, State};
use crate::sentinels::Reached;
use crate::servers::{
    Replication, SentinelView, field, number, open_all, read_view, replicas, replication,
};

/// It was refused, and nothing was changed.
pub(super) const REFUSED: u8 = 1;
/// How long writes stay paused if this command dies.
pub(super) const PAUSE: Duration = Duration::from_secs(2);

/// A replica that confirms what the master writes.
#[derive(Clone)]
pub(super) struct DataNode {
    /// As the servers announce it.
    pub(super) announced: Endpoint,
    pub(super) probe: Probe,
}

/// The servers of a deployment, and why there should be no failover now.
pub(super) struct Deployment<'a> {
    pub(super) config: &'a Config,
    pub(super) topology: &'a Topology,
    pub(super) sentinels: &'a SentinelTopology,
    /// The Sentinels that answer.
    pub(super) asked: Vec<(Endpoint, Probe)>,
    /// A Sentinel of the majority: it is asked for the failover.
    pub(super) leader: Probe,
    /// How many Sentinels there are.
    pub(super) count: usize,
    pub(super) view: SentinelView,
    pub(super) master: DataNode,
    pub(super) replicas: Vec<DataNode>,
    pub(super) reasons: Vec<String>,
}

/// What Sentinel says of a replica.
struct KnownReplica {
    priority: u64,
    flags: String,
}

impl KnownReplica {
    fn may_be_promoted(&self) -> bool {
        self.priority > 0 && !self.flags.contains("down") && !self.flags.contains("disconnected")
    }
}

/// Finds the servers and looks at each of them. Changes nothing.
pub(super) async fn examine<'a>(
    config: &'a Config,
    topology: &'a Topology,
    sentinels: &'a SentinelTopology,
) -> Result<Deployment<'a>, Failure> {
    let mut reached = Reached::default();
    reached.add(topology, &sentinels.sentinels).await;
    let others = reached.others(sentinels).await;
    reached.add(topology, &others).await;
    let views = views(&reached, sentinels).await;
    let Agreed {
        count,
        view,
        leader,
    } = agreed(&reached, &views)?;
    let endpoint = sentinels.address_map.map(&view.master);
    let probe = Probe::open(topology, Hop::Node, &endpoint).await;
    let probe = probe.map_err(|error| unusable(&error))?;
    let mut deployment = Deployment {
        config,
        topology,
        sentinels,
        asked: reached.probes,
        leader,
        count,
        master: DataNode {
            announced: view.master.clone(),
            probe,
        },
        view,
        replicas: Vec::new(),
        reasons: Vec::new(),
    };
    deployment.examine_sentinels(&views).await;
    let gate = deployment.examine_gate().await?;
    deployment.examine_replicas(gate.as_ref()).await?;
    Ok(deployment)
}

type Views = Vec<(Endpoint, Result<SentinelView, Unavailable>)>;

/// What each Sentinel that can be reached says of the master.
async fn views(reached: &Reached, sentinels: &SentinelTopology) -> Views {
    let mut views = Vec::new();
    for (endpoint, probe) in &reached.probes {
        let answer = probe.ask(&["SENTINEL", "MASTER", &sentinels.service]).await;
        views.push((endpoint.clone(), answer.map(|answer| read_view(&answer))));
    }
    views
}

/// The view that a majority of the Sentinels shares.
struct Agreed {
    /// How many Sentinels there are.
    count: usize,
    view: SentinelView,
    /// One of the majority.
    leader: Probe,
}

/// The master that a majority of the Sentinels names at one epoch.
fn agreed(reached: &Reached, views: &Views) -> Result<Agreed, Failure> {
    let mut count = reached.count();
    let mut votes: BTreeMap<(&Endpoint, u64), Vec<(&SentinelView, &Probe)>> = BTreeMap::new();
    let mut refusal = reached.failures.first();
    for ((_, view), (_, probe)) in views.iter().zip(&reached.probes) {
        match view {
            Ok(view) => {
                count = count.max(usize::try_from(view.others + 1).unwrap_or(usize::MAX));
                let votes = votes.entry((&view.master, view.epoch)).or_default();
                votes.push((view, probe));
            }
            Err(error) => refusal = Some(error),
        }
    }
    let most = votes.into_values().max_by_key(Vec::len).unwrap_or_default();
    match (&most[..], refusal) {
        (&[(view, leader), ..], _) if most.len() * 2 > count => Ok(Agreed {
            count,
            view: view.clone(),
            leader: leader.clone(),
        }),
        (&[(view, _), ..], _) => {
            let message = format!(
                "{} of {count} Sentinels name {} as the master at epoch {}: a majority must agree; \
                 compare `leasehold topology`",
                most.len(),
                view.master,
                view.epoch
            );
            Err(Failure::new(exit::UNREACHABLE, message))
        }
        ([], Some(error)) => Err(unusable(error)),
        ([], None) => Err(Failure::new(exit::UNREACHABLE, "no Sentinel answers")),
    }
}

impl Deployment<'_> {
    fn refuse(&mut self, reason: impl Into<String>) {
        self.reasons.push(reason.into());
    }

    async fn examine_sentinels(&mut self, views: &Views) {
        let view = self.view.clone();
        self.examine_completion(views);
        // Without the right to ask, Sentinel itself has to refuse.
        let info = self.leader.ask(&["INFO", "sentinel"]).await;
        let info = info.ok().and_then(|info| info.text()).unwrap_or_default();
        let tilt = field(&info, "sentinel_tilt");
        if tilt.is_some_and(|tilt| tilt != "0") {
            self.refuse("the Sentinel to be asked is in TILT mode, and so makes no failover: wait until it ends");
        }
        if view.flags != "master" {
            self.refuse(format!("Sentinel says of the master: {}", view.flags));
        }
        if view.down_after <= PAUSE {
            self.refuse(format!(
                "down-after-milliseconds is {}: the Sentinels may take a master whose writes are paused for dead; \
                 more than {} is needed",
                shown(view.down_after),
                shown(PAUSE)
            ));
        }
    }

    /// A Sentinel that is completing a failover goes on naming the master of that one, and gives it the epoch of the
    /// next. Others believe whom they hear first, and nothing corrects them before the epoch after that.
    fn examine_completion(&mut self, views: &Views) {
        for (endpoint, view) in views {
            let Ok(view) = view else { continue };
            if view.flags.contains("failover_in_progress") {
                self.refuse(format!(
                    "the Sentinel {endpoint} is still completing a failover: wait until it has"
                ));
            }
        }
    }

    /// The gate of strict mode, and the right to pause writes.
    async fn examine_gate(&mut self) -> Result<Option<Gate>, Failure> {
        // It has an effect for 1 ms at most, and shows that this user may do it.
        let pause = self
            .master
            .probe
            .ask(&["CLIENT", "PAUSE", "1", "WRITE"])
            .await;
        pause.map_err(|error| unusable(&error))?;
        if self.config.lock.safety != Safety::Strict {
            return Ok(None);
        }
        let gate = Gate::read(&self.master.probe, self.config).await;
        let gate = gate.map_err(|error| unusable(&error))?;
        if gate.state != State::Open {
            self.refuse(format!(
                "the gate of strict mode is not open on {}, so the next one could not open at once: {}",
                self.master.announced,
                gate.described()
            ));
        }
        let epoch = gate.record.as_ref().map(|record| record.epoch);
        if epoch.is_some_and(|epoch| epoch != self.view.epoch) {
            let told = "the gate was claimed at another epoch than that of the Sentinels: wait until a locker claims it";
            self.refuse(told);
        }
        Ok(Some(gate))
    }

    async fn examine_replicas(&mut self, gate: Option<&Gate>) -> Result<(), Failure> {
        let known = self.known_replicas().await?;
        let replication = replication(&self.master.probe).await;
        let replication = replication.map_err(|error| unusable(&error))?;
        if replication.role != "master" {
            self.refuse(format!(
                "{} says that it is no master",
                self.master.announced
            ));
        }
        let record = gate.and_then(|gate| gate.record.as_ref());
        let longest = record.map(|record| record.longest.max(self.config.lock.max_ttl));
        let unusable = self.sort(&known, &replication, longest).await;
        let data_nodes = record.map_or(0, |record| record.data_nodes);
        self.examine_number(data_nodes.max(1 + known.len()), &unusable);
        Ok(())
    }

    /// Keeps the replicas that could take over. Returns why the others could not, except where Sentinel might
    /// promote one all the same, which is a reason to refuse.
    async fn sort(
        &mut self,
        known: &BTreeMap<Endpoint, KnownReplica>,
        replication: &Replication,
        longest: Option<Duration>,
    ) -> Vec<String> {
        let map = |announced| self.sentinels.address_map.map(announced);
        let reachable: Vec<Endpoint> = known.keys().map(map).collect();
        let opened = open_all(self.topology, Hop::Node, &reachable).await;
        let mut unusable = Vec::new();
        let mut can_promote = false;
        for ((announced, known), (_, probe)) in known.iter().zip(opened) {
            let usable = match probe {
                Ok(probe) => is_usable(announced, probe, replication, longest).await,
                Err(error) => Err(error.cause().to_string()),
            };
            match usable {
                Ok(node) => {
                    can_promote |= known.may_be_promoted();
                    self.replicas.push(node);
                }
                Err(reason) if known.may_be_promoted() => {
                    self.refuse(format!("{announced} might be promoted, and {reason}"));
                }
                Err(reason) => unusable.push(format!("{announced}: {reason}")),
            }
        }
        if !self.replicas.is_empty() && !can_promote {
            self.refuse("Sentinel may promote none of the replicas: look at replica-priority");
        }
        unusable
    }

    fn examine_number(&mut self, data_nodes: usize, unusable: &[String]) {
        let needed = data_nodes / 2 + 1;
        if self.replicas.len() >= needed {
            return;
        }
        let mut told = format!(
            "{} of {data_nodes} data nodes are replicas that could take over, and {needed} are needed",
            self.replicas.len()
        );
        if !unusable.is_empty() {
            told.push_str(&format!(" ({})", unusable.join("; ")));
        }
        self.refuse(told);
    }

    async fn known_replicas(&self) -> Result<BTreeMap<Endpoint, KnownReplica>, Failure> {
        let mut known = BTreeMap::new();
        let asked = ["SENTINEL", "REPLICAS", &self.sentinels.service];
        let answer = self.leader.ask(&asked).await;
        let answer = answer.map_err(|error| unusable(&error))?;
        for replica in replicas(&answer) {
            let text = |name: &str| replica.field(name).unwrap_or_default();
            let endpoint = Endpoint::new(text("ip"), text("port").parse().unwrap_or_default());
            let replica = KnownReplica {
                priority: text("slave-priority").parse().unwrap_or_default(),
                flags: text("flags"),
            };
            known.insert(endpoint, replica);
        }
        Ok(known)
    }
}

/// Whether a replica has what the master wrote, and counts for the next gate.
async fn is_usable(
    announced: &Endpoint,
    probe: Probe,
    replication: &Replication,
    longest: Option<Duration>,
) -> Result<DataNode, String> {
    let address = format!("{}:{}", announced.host(), announced.port());
    let replicas = &mut replication.replicas.iter();
    match replicas.find(|replica| replica.address == address) {
        None => return Err("it is not connected to the master".to_owned()),
        Some(replica) if !replica.is_online => {
            return Err("it is still being synchronised".to_owned());
        }
        Some(_) => {}
    }
    let server = probe.ask(&["INFO", "server"]).await;
    let server = server.map_err(|error| error.cause().to_string())?;
    let server = server.text().unwrap_or_default();
    // Whole seconds, rounded up by the server at worst.
    let uptime = Duration::from_secs(number(&server, "uptime_in_seconds").saturating_sub(1));
    match longest {
        Some(longest) if uptime < longest => Err(format!(
            "it is up for {}, less than the longest lease of {}",
            shown(uptime),
            shown(longest)
        )),
        _ => Ok(DataNode {
            announced: announced.clone(),
            probe,
        }),
    }
}

/// What a node says of replication.
pub(super) struct Standing {
    pub(super) is_master: bool,
    pub(super) offset: Option<u64>,
}

pub(super) async fn standing(probe: &Probe) -> Result<Standing, Unavailable> {
    let answer = probe.ask(&["INFO", "replication"]).await?;
    let info = answer.text().unwrap_or_default();
    let is_master = field(&info, "role").as_deref() == Some("master");
    let name = if is_master {
        "master_repl_offset"
    } else {
        "slave_repl_offset"
    };
    Ok(Standing {
        is_master,
        offset: field(&info, name).and_then(|offset| offset.parse().ok()),
    })
}

/// A server that cannot be used, and the user to take where a right is missing.
pub(super) fn unusable(error: &Unavailable) -> Failure {
    let code = exit::code_of_outage(error);
    let Cause::NoPermission { detail } = error.cause() else {
        return Failure::new(code, error.to_string());
    };
    let node = error
        .node()
        .map_or_else(String::new, |node| format!("{node}: "));
    let message = format!(
        "{node}this user may not carry out a failover ({detail}); connect as the user `admin` of \
         config/users.acl: REDIS_USERNAME=admin, with the password of that user"
    );
    Failure::new(code, message)
}

/// A field of an answer about a replica as a number.
pub(super) fn answer_number(answer: &Answer, name: &str) -> Option<u64> {
    answer.field(name)?.parse().ok()
}
