//! Which fault strikes when, as a pure function of the seed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// A kind of fault. Its target is chosen when it strikes, since only then it is known who is master.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// `SIGKILL` to the master, started again with its data.
    KillMaster,
    /// `SIGKILL` to the master, and a supervisor that starts it again when it has been replaced, or is about to be.
    SupervisedMaster,
    /// `SIGKILL` to a replica, started again with its data.
    KillReplica,
    /// `SIGKILL` to a Sentinel, started again.
    KillSentinel,
    /// `SIGKILL` to a client, and a new one in its place.
    KillClient,
    /// The master is started again without its data, often before anybody notices.
    EmptyMaster,
    /// A replica is started again without its data.
    EmptyReplica,
    /// A replica without an append-only file is shut down in order and started again with the snapshot that it left.
    SnapshotReplica,
    /// A Sentinel is started again at another address, and moves back later.
    MoveSentinel,
    /// The master is frozen, and goes on later as if nothing had happened.
    PauseMaster,
    /// A replica is frozen.
    PauseReplica,
    /// A Sentinel is frozen.
    PauseSentinel,
    /// A client is frozen for longer than its leases last.
    PauseClient,
    /// The master, a Sentinel and some of the clients are parted from the rest.
    IsolateMaster,
    /// A client is parted from all servers.
    IsolateClient,
    /// The master's writes no longer reach one of the replicas, and the Sentinels do not see it.
    CutReplication,
    /// Packets between the master and a replica, or a client and the master, are lost at random.
    Loss,
    /// `SENTINEL FAILOVER`.
    Failover,
    /// `SENTINEL FAILOVER` three times in a row.
    FailoversInRow,
    /// `SENTINEL FAILOVER` on two Sentinels at once, which skips the vote.
    DoubleFailover,
    /// `SENTINEL FAILOVER` on a second Sentinel while the first completes its own. The two can then name different masters at
    /// one epoch.
    OverlappingFailovers,
    /// A replica comes back with its clock set to another time.
    Skew,
    /// The clock of the running master is set back.
    ClockBack,
    /// `FLUSHALL` on the master.
    Flush,
    /// A replica is shut down in order and started again, as for an upgrade.
    RestartReplica,
    /// `redis-cli --rdb` on the master, which counts as a full synchronisation.
    CopyData,
    /// A client has the master send it the data, acknowledges everything, and has no port.
    Listen,
    /// `CONFIG RESETSTAT` on the master.
    ResetStatistics,
    /// `SCRIPT FLUSH` on the master.
    ScriptFlush,
    /// Everything between some clients and the servers comes later.
    Latency,
    /// Commands of some clients are carried out and the replies are lost.
    LostReplies,
    /// The connections of some clients fall silent.
    Silence,
}

use Fault::{
    ClockBack, CopyData, CutReplication, DoubleFailover, EmptyMaster, EmptyReplica, Failover,
    FailoversInRow, Flush, IsolateClient, IsolateMaster, KillClient, KillMaster, KillReplica,
    KillSentinel, Latency, Listen, Loss, LostReplies, MoveSentinel, OverlappingFailovers,
    PauseClient, PauseMaster, PauseReplica, PauseSentinel, ResetStatistics, RestartReplica,
    ScriptFlush, Silence, Skew, SnapshotReplica, SupervisedMaster,
};

/// How often each kind is drawn, and how long it lasts in milliseconds.
const TABLE: &[(Fault, u64, (u64, u64))] = &[
    (KillMaster, 8, (50, 3_000)),
    (SupervisedMaster, 5, (1_000, 10_000)),
    (KillReplica, 4, (50, 2_000)),
    (KillSentinel, 3, (50, 2_000)),
    (KillClient, 6, (50, 500)),
    (EmptyMaster, 4, (10, 200)),
    (EmptyReplica, 3, (10, 1_000)),
    (PauseMaster, 8, (200, 3_500)),
    (PauseReplica, 5, (200, 3_000)),
    (PauseSentinel, 4, (500, 3_000)),
    (PauseClient, 8, (1_300, 3_500)),
    (IsolateMaster, 9, (1_500, 4_000)),
    (IsolateClient, 5, (500, 3_000)),
    (CutReplication, 7, (500, 3_500)),
    (Loss, 5, (500, 3_000)),
    (Failover, 6, (10, 500)),
    (DoubleFailover, 2, (10, 500)),
    (FailoversInRow, 3, (10, 500)),
    (OverlappingFailovers, 3, (10, 500)),
    (RestartReplica, 4, (10, 1_000)),
    (SnapshotReplica, 4, (10, 1_000)),
    (MoveSentinel, 5, (1_000, 5_000)),
    (CopyData, 4, (10, 100)),
    (Listen, 4, (500, 5_000)),
    (ResetStatistics, 4, (10, 100)),
    (Skew, 4, (50, 1_000)),
    (ClockBack, 3, (10, 100)),
    (Flush, 2, (10, 100)),
    (ScriptFlush, 2, (10, 100)),
    (Latency, 5, (500, 3_000)),
    (LostReplies, 4, (300, 2_000)),
    (Silence, 4, (500, 3_000)),
];

impl Fault {
    /// The name in reports.
    #[must_use]
    pub fn name(self) -> String {
        let name = serde_json::to_value(self).ok();
        name.and_then(|name| name.as_str().map(str::to_owned))
            .unwrap_or_default()
    }

    /// Whether a data node loses its memory. One at a time may: that fewer than a majority do is assumed. One that
    /// restarts from a snapshot has no file for a moment afterwards, and comes back empty if it is killed then.
    fn forgets(self) -> bool {
        matches!(self, EmptyMaster | EmptyReplica | SnapshotReplica | Flush)
    }
}

/// One fault at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strike {
    /// What.
    pub fault: Fault,
    /// How long after the beginning of the episode.
    pub after: Duration,
    /// For how long.
    pub lasts: Duration,
    /// What decides between several possible targets.
    pub draw: u64,
}

/// Some faults at once, and the time after them in which everything heals and runs undisturbed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Episode {
    /// The faults.
    pub strikes: Vec<Strike>,
    /// How long nothing is broken once the cluster is whole again.
    pub calm: Duration,
}

/// Begins each run: what is known to break locks that are not confirmed, or not gated, or not fenced.
const OPENING: &[&[(Fault, u64, u64)]] = &[
    &[(IsolateMaster, 0, 4_000)],
    &[(CutReplication, 0, 1_200), (KillMaster, 1_000, 2_500)],
    &[(PauseMaster, 0, 3_000), (PauseClient, 200, 2_500)],
];

/// The episode of that number in the run of that seed, of the faults that can be made here.
#[must_use]
pub fn episode(seed: u64, number: u64, available: &[Fault]) -> Episode {
    let mut random = Random::seeded(seed.wrapping_mul(0x0001_0000_0001).wrapping_add(number));
    // The first numbers of neighbouring seeds resemble each other.
    let _ = (random.number(), random.number());
    let opening = usize::try_from(number)
        .ok()
        .and_then(|number| OPENING.get(number));
    let mut strikes: Vec<Strike> = match opening {
        Some(opening) => opening
            .iter()
            .map(|(fault, after, lasts)| Strike {
                fault: *fault,
                after: Duration::from_millis(*after),
                lasts: Duration::from_millis(*lasts),
                draw: random.number(),
            })
            .collect(),
        None => draw(&mut random, available),
    };
    strikes.retain(|strike| available.contains(&strike.fault));
    strikes.sort_by_key(|strike| strike.after);
    let calm = random.milliseconds(1_200, 2_400);
    Episode { strikes, calm }
}

fn draw(random: &mut Random, available: &[Fault]) -> Vec<Strike> {
    let possible: Vec<_> = TABLE
        .iter()
        .filter(|(fault, ..)| available.contains(fault))
        .collect();
    let total = possible.iter().map(|(_, weight, _)| weight).sum();
    let mut strikes: Vec<Strike> = Vec::new();
    // One in five strikes alone, so that it is seen what each kind costs by itself.
    let strikes_at_once = if random.percent(20) {
        1
    } else {
        random.between(5, 10)
    };
    for _ in 0..strikes_at_once {
        let mut point = random.between(0, total);
        let mut chosen = possible.iter();
        let (fault, _, (shortest, longest)) = loop {
            let Some(entry) = chosen.next() else {
                return strikes;
            };
            if point < entry.1 {
                break **entry;
            }
            point -= entry.1;
        };
        let strike = Strike {
            fault,
            after: random.milliseconds(0, 2_500),
            lasts: random.milliseconds(shortest, longest),
            draw: random.number(),
        };
        if !(fault.forgets() && strikes.iter().any(|other| other.fault.forgets())) {
            strikes.push(strike);
        }
    }
    strikes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Fault> {
        TABLE.iter().map(|(fault, ..)| *fault).collect()
    }

    #[test]
    fn a_seed_gives_the_same_faults_each_time_and_another_seed_others() {
        let run = |seed| {
            (0..20)
                .map(|number| episode(seed, number, &all()))
                .collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        assert_ne!(run(1)[5], run(1)[6]);
    }

    #[test]
    fn every_kind_comes_up_and_one_memory_at_a_time_is_lost() {
        let episodes: Vec<_> = (0..300).map(|number| episode(7, number, &all())).collect();
        for fault in all() {
            let struck =
                |episode: &Episode| episode.strikes.iter().any(|strike| strike.fault == fault);
            assert!(episodes.iter().any(struck), "{fault:?}");
        }
        for episode in episodes {
            let lost = episode
                .strikes
                .iter()
                .filter(|strike| strike.fault.forgets())
                .count();
            assert!(lost <= 1, "{episode:?}");
        }
    }
}
