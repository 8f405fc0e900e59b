//! The servers, the clients and the network, as the nemesis sees them.

use std::{
    fs::File,
    io,
    path::PathBuf,
    process::Stdio,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use leasehold_testkit::{ChildProcess, FormerPort, netns::Host};

use super::{
    arena::{Arena, SERVERS},
    schedule::{Episode, Strike},
    strike::restore_persistence,
};
use crate::{
    client::{Assignment, Protocol},
    history::{Kind, Recorder, now},
};

/// Everything that can be struck.
#[derive(Debug)]
pub struct World {
    /// Servers and network.
    pub arena: Arena,
    /// What the clients are told, apart from their names and places.
    pub template: Assignment,
    /// The program that the clients run.
    pub program: PathBuf,
    /// Where histories and logs go.
    pub directory: PathBuf,
    /// The nemesis' own part of the history.
    pub recorder: Recorder,
    /// The clients, by number.
    pub clients: Vec<Client>,
    /// Rules of the network are removed all together, when the last fault that needs them has ended.
    pub network_faults: AtomicUsize,
    /// The port of each Sentinel that is at another address for a while. Locked while a Sentinel is struck.
    pub moved: [Mutex<Option<FormerPort>>; SERVERS],
}

/// One client after another in the same place.
#[derive(Debug)]
pub struct Client {
    number: usize,
    host: Option<usize>,
    variables: Vec<(String, String)>,
    life: Mutex<Life>,
}

#[derive(Debug)]
struct Life {
    count: usize,
    process: Option<ChildProcess>,
}

impl Client {
    /// A client to be, in its place.
    #[must_use]
    pub fn new(arena: &Arena, number: usize, clients: usize) -> Self {
        Self {
            number,
            host: arena.host(number, clients),
            variables: arena.variables(number, clients),
            life: Mutex::new(Life {
                count: 0,
                process: None,
            }),
        }
    }

    /// The host it lives on, if it has one of its own.
    #[must_use]
    pub fn host(&self) -> Option<usize> {
        self.host
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// Starts a client, anew if it lived before.
    ///
    /// # Errors
    ///
    /// When its program cannot be started.
    pub fn launch(&self, client: &Client) -> io::Result<()> {
        let mut life = client.life();
        life.count += 1;
        let process = name(client.number, life.count);
        let mut assignment = Assignment {
            process: process.clone(),
            seed: self
                .template
                .seed
                .wrapping_add((client.number * 1_000 + life.count) as u64),
            history: self.directory.join(format!("{process}.jsonl")),
            ..self.template.clone()
        };
        assignment
            .variables
            .extend(client.variables.iter().cloned());
        if assignment.protocol == Protocol::Plain
            && let Some((_, sentinels)) = client
                .variables
                .iter()
                .find(|(name, _)| name == "REDIS_SENTINEL_HOSTS")
        {
            assignment.sentinels = sentinels.split(',').map(str::to_owned).collect();
        }
        let loopback = Host::loopback();
        let network = self.arena.network.as_ref();
        let host = match (network, client.host) {
            (Some(network), Some(host)) => {
                assignment.register = assignment
                    .register
                    .replace("127.0.0.1", network.outside_address());
                network.host(host)
            }
            _ => &loopback,
        };
        let mut command = host.command(&self.program);
        command
            .arg("client")
            .arg(serde_json::to_string(&assignment)?);
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.directory.join(format!("{process}.log")))?;
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log);
        life.process = Some(ChildProcess::spawn(command).map_err(io::Error::other)?);
        Ok(())
    }

    /// Ends a client with `SIGKILL`.
    pub fn kill_client(&self, client: &Client) {
        let mut life = client.life();
        let Some(process) = life.process.take() else {
            return;
        };
        let victim = name(client.number, life.count);
        self.recorder.record(
            0,
            "",
            Kind::Stopped {
                victim,
                killed: true,
            },
        );
        process.kill();
    }

    /// Freezes a client, or lets it go on.
    pub fn freeze_client(&self, client: &Client, frozen: bool) {
        let life = client.life();
        let Some(process) = &life.process else { return };
        let victim = name(client.number, life.count);
        if frozen {
            self.recorder.record(
                0,
                "",
                Kind::Stopped {
                    victim,
                    killed: false,
                },
            );
            let _ = process.pause();
        } else if process.is_paused() {
            let _ = process.resume();
            self.recorder.record(0, "", Kind::Resumed { victim });
        }
    }

    /// Lets the faults of an episode strike, each at its time, and returns when all have ended.
    /// Gives those that struck.
    pub fn strike(&self, episode: &Episode) -> Vec<Strike> {
        self.recorder.record(0, "", Kind::Storm);
        thread::scope(|scope| {
            let running: Vec<_> = episode
                .strikes
                .iter()
                .map(|strike| {
                    scope.spawn(|| {
                        thread::sleep(strike.after);
                        strike.carry_out(self).then(|| strike.clone())
                    })
                })
                .collect();
            running
                .into_iter()
                .filter_map(|one| one.join().ok().flatten())
                .collect()
        })
    }

    /// Ends every fault, and waits until the cluster is whole again; says why if it is not. A machine that stood still
    /// in between gets another attempt.
    ///
    /// # Errors
    ///
    /// What is still amiss after several minutes.
    pub fn heal(&self) -> Result<(), String> {
        let attempts = (0..3).map(|_| self.heal_once());
        let mut last = Ok(());
        for attempt in attempts {
            last = attempt;
            if last.is_ok() {
                self.recorder.record(0, "", Kind::Calm);
                break;
            }
        }
        last
    }

    fn heal_once(&self) -> Result<(), String> {
        self.arena.heal();
        for client in &self.clients {
            self.freeze_client(client, false);
            if client.life().process.is_none() {
                self.launch(client).map_err(|error| error.to_string())?;
            }
        }
        let cluster = &self.arena.cluster;
        for node in cluster.nodes() {
            if node.is_paused() {
                let _ = node.resume();
            }
            if !node.is_running() {
                node.restart().map_err(|error| error.to_string())?;
            }
            restore_persistence(node).map_err(|error| error.to_string())?;
        }
        for (index, sentinel) in cluster.sentinels().iter().enumerate() {
            let mut former = self.moved[index]
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            self.move_back(index, &mut former)
                .map_err(|error| error.to_string())?;
            if sentinel.is_paused() {
                let _ = sentinel.resume();
            }
            if !sentinel.is_running() {
                sentinel.restart().map_err(|error| error.to_string())?;
            }
        }
        cluster
            .wait_until_stable()
            .map_err(|error| error.to_string())
    }

    pub(super) fn move_back(
        &self,
        sentinel: usize,
        former: &mut Option<FormerPort>,
    ) -> leasehold_testkit::Result<()> {
        match former.take() {
            Some(former) => self.arena.cluster.sentinel(sentinel).move_back(former),
            None => Ok(()),
        }
    }

    /// Asks all clients to end, and waits. Those that do not are killed.
    pub fn dismiss(&self, within: Duration) {
        for client in &self.clients {
            // Closing its input is the sign.
            drop(
                client
                    .life()
                    .process
                    .as_ref()
                    .and_then(ChildProcess::take_stdin),
            );
        }
        let until = now() + crate::history::nanoseconds(within);
        for client in &self.clients {
            let mut life = client.life();
            let left = Duration::from_nanos(until.saturating_sub(now()));
            let Some(process) = life.process.take() else {
                continue;
            };
            if process.wait(left).is_err() {
                eprintln!("{} does not end", name(client.number, life.count));
            }
        }
    }

    /// Looks for locks that nobody holds any more.
    pub fn look_for_leftovers(&self) {
        let Ok(master) = self.arena.cluster.master() else {
            return;
        };
        for resource in &self.template.resources {
            let found = master.cli(&["EXISTS", resource]);
            if !found.is_ok_and(|count| count.trim() == "0") {
                let key = resource.clone();
                self.recorder.record(0, resource, Kind::Leftover { key });
            }
        }
    }

    pub(super) fn begin_network_fault(&self) {
        self.network_faults.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn end_network_fault(&self) {
        if self.network_faults.fetch_sub(1, Ordering::SeqCst) == 1
            && let Some(network) = &self.arena.network
        {
            let _ = network.heal();
        }
    }
}

fn name(number: usize, life: usize) -> String {
    format!("client-{number}.{life}")
}
