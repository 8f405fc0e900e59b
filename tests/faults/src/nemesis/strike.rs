//! One fault: choose a target, break it, wait, mend it.

use std::{thread, time::Duration};

use leasehold_testkit::netns::Network;
use leasehold_testkit::{Error, Listener, Mode, RedisServer, Result, wait_for};

use super::{
    World,
    arena::SERVERS,
    schedule::{Fault, Strike},
};
use crate::history::Kind;

/// How long the other Sentinels may take to hear of a failover.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(5);
/// How far any clock is set from the true time, in milliseconds. The clocks of two nodes may then differ by up to a
/// second, which is less than the longest lease and what `LOCK_MAX_CLOCK_SKEW` says.
pub(crate) const SKEW: u64 = 500;

impl Strike {
    /// Breaks and mends; `false` if there was nothing to break.
    pub(super) fn carry_out(&self, world: &World) -> bool {
        match self.attempt(world) {
            Ok(()) => true,
            // Mostly because another fault had the same target at the same time. Whatever is left is mended by the heal.
            Err(reason) => {
                let reason = reason.to_string();
                let reason = reason.lines().next().unwrap_or_default();
                eprintln!("{}: {reason}", self.fault.name());
                false
            }
        }
    }

    fn attempt(&self, world: &World) -> Result<()> {
        match self.fault {
            Fault::KillMaster
            | Fault::SupervisedMaster
            | Fault::KillReplica
            | Fault::RestartReplica
            | Fault::EmptyMaster
            | Fault::EmptyReplica => self.restart(world),
            Fault::FailoversInRow => self.fail_over_in_a_row(world),
            Fault::OverlappingFailovers => self.overlap_failovers(world),
            Fault::Skew => self.skew(world),
            Fault::PauseMaster | Fault::PauseReplica => self.freeze_node(world),
            Fault::SnapshotReplica => self.restart_from_snapshot(world),
            Fault::KillSentinel | Fault::PauseSentinel | Fault::MoveSentinel => {
                self.strike_sentinel(world)
            }
            Fault::KillClient | Fault::PauseClient => self.strike_client(world),
            Fault::IsolateMaster | Fault::IsolateClient | Fault::CutReplication | Fault::Loss => {
                self.break_network(world)
            }
            Fault::Failover
            | Fault::DoubleFailover
            | Fault::Flush
            | Fault::ScriptFlush
            | Fault::CopyData
            | Fault::ResetStatistics
            | Fault::ClockBack => self.command(world),
            Fault::Listen => self.listen(world),
            Fault::Latency | Fault::LostReplies | Fault::Silence => self.break_proxies(world),
        }
    }

    fn begin(&self, world: &World, target: &str) {
        let (fault, target) = (self.fault.name(), target.to_owned());
        world.recorder.record(0, "", Kind::Fault { fault, target });
    }

    fn end(&self, world: &World, target: &str) {
        let (fault, target) = (self.fault.name(), target.to_owned());
        world
            .recorder
            .record(0, "", Kind::FaultEnded { fault, target });
    }

    fn during<T>(&self, world: &World, target: &str, broken: Result<T>) -> Result<T> {
        let broken = broken?;
        self.begin(world, target);
        thread::sleep(self.lasts);
        self.end(world, target);
        Ok(broken)
    }

    fn choose(&self, among: usize) -> usize {
        usize::try_from(self.draw % among.max(1) as u64).unwrap_or_default()
    }

    /// The master, or one of the replicas.
    fn node(&self, world: &World) -> Result<usize> {
        let cluster = &world.arena.cluster;
        match self.fault {
            Fault::KillReplica
            | Fault::RestartReplica
            | Fault::SnapshotReplica
            | Fault::EmptyReplica
            | Fault::PauseReplica
            | Fault::Skew
            | Fault::CutReplication => {
                let replicas = cluster.replica_indices()?;
                Ok(replicas[self.choose(replicas.len())])
            }
            _ => cluster.master_index(),
        }
    }

    fn restart(&self, world: &World) -> Result<()> {
        let index = self.node(world)?;
        let node = world.arena.cluster.node(index);
        if self.fault == Fault::RestartReplica {
            node.shutdown()?;
        } else {
            node.kill();
        }
        self.during(world, &format!("node {index}"), Ok(()))?;
        if matches!(self.fault, Fault::EmptyMaster | Fault::EmptyReplica) {
            node.restart_empty()
        } else {
            node.restart()
        }
    }

    /// The snapshot has everything that the node has confirmed, since it is shut down in order. It is gone before the
    /// node confirms anything more: an old snapshot must not be loaded by a later restart.
    fn restart_from_snapshot(&self, world: &World) -> Result<()> {
        let index = self.node(world)?;
        let node = world.arena.cluster.node(index);
        // A synchronisation may have left one.
        remove_snapshot(node);
        set_append_only(node, "no")?;
        node.command(&["CONFIG", "SET", "save", "3600 1"])?;
        node.shutdown()?;
        let restarted = self.during(world, &format!("node {index}"), Ok(()));
        let restarted = restarted.and_then(|()| node.restart());
        remove_snapshot(node);
        restarted?;
        set_append_only(node, "yes")
    }

    /// A clock may only go forward while its node is down: that the clock of a serving master does not jump ahead is
    /// assumed, since its keys would expire under their holders.
    fn skew(&self, world: &World) -> Result<()> {
        let index = self.node(world)?;
        let node = world.arena.cluster.node(index);
        node.kill();
        let offset =
            i64::try_from(self.draw / 7 % (2 * SKEW)).unwrap_or_default() - SKEW.cast_signed();
        node.set_clock_offset(offset)?;
        self.during(world, &format!("node {index} by {offset} ms"), Ok(()))?;
        node.restart()
    }

    fn freeze_node(&self, world: &World) -> Result<()> {
        let index = self.node(world)?;
        let node = world.arena.cluster.node(index);
        self.during(world, &format!("node {index}"), node.pause())?;
        // Another fault may have killed it meanwhile.
        let _ = node.resume();
        Ok(())
    }

    fn strike_sentinel(&self, world: &World) -> Result<()> {
        let index = self.choose(SERVERS);
        let sentinel = world.arena.cluster.sentinel(index);
        let target = format!("sentinel {index}");
        if self.fault == Fault::PauseSentinel {
            self.during(world, &target, sentinel.pause())?;
            let _ = sentinel.resume();
            return Ok(());
        }
        // Nobody else starts it meanwhile.
        let Ok(mut former) = world.moved[index].try_lock() else {
            return Err(Error::Unavailable {
                feature: "the Sentinel",
                reason: format!("{target} is struck already"),
            });
        };
        if self.fault == Fault::MoveSentinel {
            *former = Some(sentinel.move_away()?);
            self.during(world, &target, Ok(()))?;
            return world.move_back(index, &mut former);
        }
        sentinel.kill();
        self.during(world, &target, Ok(()))?;
        sentinel.restart()
    }

    fn strike_client(&self, world: &World) -> Result<()> {
        let index = self.choose(world.clients.len());
        let client = &world.clients[index];
        let target = format!("client {index}");
        if self.fault == Fault::KillClient {
            world.kill_client(client);
            self.during(world, &target, Ok(()))?;
            if let Err(error) = world.launch(client) {
                eprintln!("{target} does not come back: {error}");
            }
        } else {
            world.freeze_client(client, true);
            self.during(world, &target, Ok(()))?;
            world.freeze_client(client, false);
        }
        Ok(())
    }

    fn break_network(&self, world: &World) -> Result<()> {
        let Some(network) = &world.arena.network else {
            let index = self.node(world)?;
            let parted = world.arena.part(index, true);
            self.during(world, &format!("node {index}"), parted)?;
            return world.arena.part(index, false);
        };
        let master = world.arena.cluster.master_index()?;
        let clients: Vec<usize> = world
            .clients
            .iter()
            .filter_map(super::Client::host)
            .collect();
        let client = clients[self.choose(clients.len())];
        world.begin_network_fault();
        let (target, broken) = match self.fault {
            Fault::IsolateMaster => self.isolate_master(network, master, &clients, client),
            Fault::IsolateClient => {
                let servers: Vec<usize> = (0..2 * SERVERS).collect();
                (
                    format!("host {client}"),
                    network.partition(&[&[client], &servers]),
                )
            }
            Fault::CutReplication => {
                let replica = self.node(world).unwrap_or(master);
                let mut broken = network.cut(master, replica);
                if self.draw.is_multiple_of(2) {
                    broken = broken.and_then(|()| network.cut(replica, master));
                }
                (format!("node {master} to node {replica}"), broken)
            }
            _ => self.lose_packets(network, master, client),
        };
        let outcome = self.during(world, &target, broken);
        world.end_network_fault();
        outcome
    }

    fn isolate_master(
        &self,
        network: &Network,
        master: usize,
        clients: &[usize],
        client: usize,
    ) -> (String, Result<()>) {
        let mut inside = vec![master];
        // A third of the time nobody else, otherwise a Sentinel, which goes on naming the old master.
        if !self.draw.is_multiple_of(3) {
            inside.push(SERVERS + self.choose(SERVERS));
        }
        let drawn = |host: &&usize| (self.draw >> **host) & 1 == 1 || **host == client;
        inside.extend(clients.iter().filter(drawn));
        let everybody = 0..network.hosts().len();
        let outside: Vec<usize> = everybody.filter(|host| !inside.contains(host)).collect();
        (
            format!("node {master} with {inside:?}"),
            network.partition(&[&inside, &outside]),
        )
    }

    fn lose_packets(
        &self,
        network: &Network,
        master: usize,
        client: usize,
    ) -> (String, Result<()>) {
        let other = if self.draw.is_multiple_of(2) {
            client
        } else {
            (master + 1) % SERVERS
        };
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let share = 0.05 + (self.draw % 30) as f64 / 100.0;
        let broken = network
            .lose(master, other, share)
            .and_then(|()| network.lose(other, master, share));
        (
            format!("host {master} and host {other}, {share:.2}"),
            broken,
        )
    }

    fn command(&self, world: &World) -> Result<()> {
        let cluster = &world.arena.cluster;
        let index = cluster.master_index()?;
        let master = cluster.node(index);
        let failover = ["SENTINEL", "FAILOVER", cluster.service()];
        let done = match self.fault {
            Fault::Failover => cluster.failover().map(drop),
            Fault::DoubleFailover => thread::scope(|scope| {
                let first = self.choose(SERVERS);
                let second =
                    scope.spawn(move || cluster.sentinel((first + 1) % SERVERS).command(&failover));
                let first = cluster.sentinel(first).command(&failover);
                // One of the two is often refused, which is fine.
                let second = second.join().unwrap_or(Ok(redis::Value::Nil));
                first.or(second).map(drop)
            }),
            Fault::Flush => master.flush(),
            Fault::ScriptFlush => master.command(&["SCRIPT", "FLUSH"]).map(drop),
            Fault::ResetStatistics => master.command(&["CONFIG", "RESETSTAT"]).map(drop),
            Fault::CopyData => {
                let file = master.directory().join("copy.rdb");
                master.cli(&["--rdb", &file.to_string_lossy()]).map(drop)
            }
            _ => master.set_clock_offset(-SKEW.cast_signed()),
        };
        self.during(world, &format!("node {index}"), done)
    }

    fn listen(&self, world: &World) -> Result<()> {
        let cluster = &world.arena.cluster;
        let index = cluster.master_index()?;
        let listener = Listener::acknowledging(cluster.node(index));
        self.during(world, &format!("node {index}"), listener)
            .map(drop)
    }

    /// Each as soon as the one before has ended; the Sentinels refuse some, as two may not follow at once.
    fn fail_over_in_a_row(&self, world: &World) -> Result<()> {
        let cluster = &world.arena.cluster;
        let first = cluster.failover().map(drop);
        self.during(world, "the master", first)?;
        for _ in 0..2 {
            let _ = cluster.wait_until_stable();
            let _ = cluster.failover();
        }
        Ok(())
    }

    fn overlap_failovers(&self, world: &World) -> Result<()> {
        let cluster = &world.arena.cluster;
        let failover = ["SENTINEL", "FAILOVER", cluster.service()];
        let first = self.choose(SERVERS);
        let second = cluster.sentinel((first + 1) % SERVERS);
        let old = second.master_address()?;
        let forced = cluster.sentinel(first).command(&failover).map(drop);
        self.during(world, "the master", forced)?;
        // Another fault may keep the second from it.
        let _ = wait_for(
            "the second Sentinel to name another",
            FOLLOWED_WITHIN,
            || match second.master_address() {
                Ok(named) if named == old => Err("the same".to_owned()),
                Ok(_) => second
                    .command(&failover)
                    .map(drop)
                    .map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            },
        );
        Ok(())
    }

    fn break_proxies(&self, world: &World) -> Result<()> {
        let mode = match self.fault {
            Fault::Latency => Mode::Delay(Duration::from_millis(2 + self.draw % 120)),
            Fault::LostReplies => Mode::DropReplies,
            _ => Mode::Blackhole,
        };
        let set = |mode| {
            let proxies = world.arena.breakable_proxies();
            proxies.iter().try_for_each(|proxy| proxy.set_mode(mode))
        };
        self.during(world, &format!("the proxied, {mode:?}"), set(mode))?;
        set(Mode::Pass)
    }
}

fn remove_snapshot(node: &RedisServer) {
    // Missing, mostly.
    let _ = std::fs::remove_file(node.directory().join("dump.rdb"));
}

fn set_append_only(node: &RedisServer, value: &str) -> Result<()> {
    node.command(&["CONFIG", "SET", "appendonly", value])?;
    node.command(&["CONFIG", "REWRITE"]).map(drop)
}

/// Whatever the fault with the snapshot left undone, because another one struck the same node.
pub(super) fn restore_persistence(node: &RedisServer) -> Result<()> {
    let kept = node.cli(&["CONFIG", "GET", "appendonly"])?;
    if kept.lines().last() == Some("no") {
        remove_snapshot(node);
        set_append_only(node, "yes")?;
    }
    Ok(())
}
