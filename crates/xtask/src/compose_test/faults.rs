//! What is broken, how, and how it ends.

use super::cluster::{Cluster, Layout};
use super::engine::docker;

/// How a container is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    Pause,
    Kill,
    /// `docker network disconnect`.
    CutOff,
    /// A container that is made anew, with another address.
    Move,
}

/// Whom it strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Victim {
    Master,
    Replica,
    Sentinel,
    /// This one, whatever it is.
    Node(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) means: Means,
    pub(super) victim: Victim,
}

/// The faults of a run, in their order.
pub(super) fn of(layout: Layout) -> Vec<Fault> {
    if layout == Layout::Service {
        // In the order of a rolling update.
        let nodes = [
            "sentinel-1",
            "sentinel-2",
            "sentinel-3",
            "redis-1",
            "redis-2",
            "redis-3",
        ];
        let moved = nodes.map(|node| Fault {
            means: Means::Move,
            victim: Victim::Node(node),
        });
        return moved.into();
    }
    let means: &[Means] = match layout {
        Layout::Shared => &[Means::Pause, Means::Kill],
        Layout::Parted => &[Means::CutOff],
        Layout::Tls | Layout::Service => &[Means::Kill],
    };
    let victims = [Victim::Replica, Victim::Sentinel, Victim::Master];
    let each = means
        .iter()
        .flat_map(|&means| victims.map(|victim| Fault { means, victim }));
    each.collect()
}

impl Fault {
    /// The service that is injected.
    pub(super) fn service(self, master: &str) -> &'static str {
        match (self.victim, master) {
            (Victim::Node(node), _) => node,
            (Victim::Sentinel, _) => "sentinel-2",
            (Victim::Master, "redis-1") | (Victim::Replica, "redis-3") => "redis-1",
            (Victim::Master, "redis-2") | (Victim::Replica, "redis-1") => "redis-2",
            (Victim::Master | Victim::Replica, _) => "redis-3",
        }
    }

    pub(super) fn inject(self, cluster: &Cluster<'_>, service: &str) -> Result<(), String> {
        let container = cluster.container(service)?;
        match self.means {
            Means::Pause => docker(["pause", &container]),
            Means::Kill => docker(["kill", &container]),
            Means::CutOff => docker(["network", "disconnect", &cluster.network(), &container]),
            Means::Move => return cluster.move_on(service),
        }
        .map(drop)
    }

    pub(super) fn end(self, cluster: &Cluster<'_>, service: &str) -> Result<(), String> {
        let container = cluster.container(service)?;
        let network = cluster.network();
        match self.means {
            Means::Pause => docker(["unpause", &container]),
            Means::Kill => docker(["start", &container]),
            Means::Move => return Ok(()),
            Means::CutOff => {
                let ip = cluster.ip(service).ok_or("a service without an address")?;
                docker(["network", "connect", "--ip", ip, &network, &container])
            }
        }
        .map(drop)
    }

    /// As the history calls it.
    pub(super) fn kind(self) -> &'static str {
        match self.means {
            Means::Pause => "pause",
            Means::Kill => "kill",
            Means::CutOff => "partition",
            Means::Move => "move",
        }
    }

    pub(super) fn in_words(self) -> String {
        let victim = match self.victim {
            Victim::Master => "the master",
            Victim::Replica => "a replica",
            Victim::Sentinel => "a Sentinel",
            Victim::Node(_) => "a node",
        };
        let struck = match self.means {
            Means::Pause => "is paused",
            Means::Kill => "is killed",
            Means::CutOff => "is cut off",
            Means::Move => "gets another address",
        };
        format!("{victim} {struck}")
    }
}
