//! One run, from starting the servers to the report.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::AtomicUsize,
    thread,
    time::{Duration, Instant},
};

use crate::{
    checker::{self, Bounds, Violation},
    client::{Assignment, Protocol},
    history::{self, Event, Kind, Recorder, now},
    members,
    nemesis::{Client, World, arena::Arena, schedule},
    register::Register,
    report::Report,
    timeline,
};

/// The usual lease length of the clients, and the longest.
pub(crate) const TTL: Duration = Duration::from_millis(1_200);
/// Fewer than this a minute prove nothing.
const GRANTS_A_MINUTE: u64 = 1_000;
const FAULTS_A_MINUTE: u64 = 15;
/// The clients' last round must fit into this: each of their tasks leases every resource once more.
pub(crate) const LAST_ROUND: Duration = Duration::from_secs(90);

/// What to run.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// For how long faults are injected.
    pub length: Duration,
    /// What they are drawn from.
    pub seed: u64,
    /// What the clients do.
    pub protocol: Protocol,
    /// How many there are.
    pub clients: usize,
    /// The program that they run.
    pub program: PathBuf,
    /// Where everything is written.
    pub directory: PathBuf,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// The counts.
    pub report: Report,
    /// Every broken rule.
    pub violations: Vec<Violation>,
}

impl Campaign {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// When the servers do not come up or do not recover, or the history cannot be written.
    pub fn run(&self) -> io::Result<Outcome> {
        if self.directory.exists() {
            fs::remove_dir_all(&self.directory)?;
        }
        fs::create_dir_all(&self.directory)?;
        let started = Instant::now();
        if self.protocol == Protocol::Quorum {
            let mut outcome = members::run(self)?;
            outcome.report.seconds = started.elapsed().as_secs();
            outcome.report =
                outcome
                    .report
                    .demanding(GRANTS_A_MINUTE / 2, FAULTS_A_MINUTE, self.length);
            return Ok(outcome);
        }
        let world = self.world()?;
        for client in &world.clients {
            world.launch(client)?;
        }
        world.recorder.record(0, "", Kind::Calm);
        thread::sleep(Duration::from_secs(2));
        let broken = self.inject(&world);
        thread::sleep(TTL);
        world.dismiss(LAST_ROUND);
        // Every lease has run out by now, by the slowest of the clocks.
        thread::sleep(2 * TTL);
        if broken.is_ok() {
            world.look_for_leftovers();
        }
        let namespaces = world.arena.network.is_some();
        drop(world);
        broken.map_err(io::Error::other)?;
        let mut outcome = examine(&self.directory, self.seed, self.protocol)?;
        outcome.report.seconds = started.elapsed().as_secs();
        outcome.report.namespaces = namespaces;
        outcome.report = outcome
            .report
            .demanding(GRANTS_A_MINUTE, FAULTS_A_MINUTE, self.length);
        Ok(outcome)
    }

    fn world(&self) -> io::Result<World> {
        let arena = Arena::start(self.clients).map_err(io::Error::other)?;
        let register = Register::start(Recorder::open(
            &self.directory.join("register.jsonl"),
            "register",
        )?)?;
        let template = Assignment {
            process: String::new(),
            protocol: self.protocol,
            seed: self.seed,
            tasks: 4,
            resources: (1..=6).map(|number| format!("resource-{number}")).collect(),
            ttl_ms: u64::try_from(TTL.as_millis()).unwrap_or(u64::MAX),
            register: format!("127.0.0.1:{}", register.port()),
            sentinels: arena.cluster.sentinel_addresses(),
            variables: lock_variables(),
            history: PathBuf::new(),
        };
        let clients = (0..self.clients)
            .map(|number| Client::new(&arena, number, self.clients))
            .collect();
        Ok(World {
            arena,
            template,
            program: self.program.clone(),
            directory: self.directory.clone(),
            recorder: Recorder::open(&self.directory.join("nemesis.jsonl"), "nemesis")?,
            clients,
            network_faults: AtomicUsize::new(0),
        })
    }

    fn inject(&self, world: &World) -> Result<(), String> {
        let until = now() + history::nanoseconds(self.length);
        let available = world.arena.faults();
        let mut number = 0;
        while now() < until {
            let episode = schedule::episode(self.seed, number, &available);
            number += 1;
            world.strike(&episode);
            world.heal()?;
            thread::sleep(episode.calm);
        }
        Ok(())
    }
}

/// How the clients' leases behave, wherever they are kept.
pub(crate) fn lock_variables() -> Vec<(String, String)> {
    let millis = |span: Duration| format!("{}ms", span.as_millis());
    [
        ("IS_LOCKING_DISABLED", "false".to_owned()),
        ("LOCK_TTL", millis(TTL)),
        ("LOCK_MAX_TTL", millis(TTL)),
        ("REDIS_CONNECT_TIMEOUT", "500ms".to_owned()),
        ("REDIS_COMMAND_TIMEOUT", "350ms".to_owned()),
        ("LOCK_RETRY_INTERVAL", "250ms".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// Reads the histories in a directory, checks them, and leaves what was found beside them.
///
/// # Errors
///
/// When files cannot be read or written.
pub fn examine(directory: &Path, seed: u64, protocol: Protocol) -> io::Result<Outcome> {
    let history: Vec<Event> = history::read(directory)?;
    let violations = checker::check(&history, Bounds::of(protocol));
    let report = Report::of(&history, &violations, seed, protocol);
    if !violations.is_empty() {
        fs::write(
            directory.join("violations.json"),
            serde_json::to_string_pretty(&violations)?,
        )?;
        fs::write(
            directory.join("timeline.svg"),
            timeline::draw(&history, &violations),
        )?;
    }
    Ok(Outcome { report, violations })
}
