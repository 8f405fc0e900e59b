//! One run, from starting the servers to the report.

use std::{
    fs, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

pub use crate::outcome::{Outcome, examine};
pub use crate::plan::Campaign;
use crate::{
    client::{Assignment, Protocol},
    history::{self, Kind, NEMESIS, Recorder, note_starvation, now},
    members,
    nemesis::{Client, World, arena::Arena, schedule},
    plan::{LAST_ROUND, TTL, lock_variables},
    register::Register,
};
/// Fewer than this a minute prove nothing.
const GRANTS_A_MINUTE: u64 = 1_000;
const FAULTS_A_MINUTE: u64 = 15;

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
                    .demanding(GRANTS_A_MINUTE / 2, FAULTS_A_MINUTE / 2, self.length);
            return Ok(outcome);
        }
        let world = self.world()?;
        let watching = Recorder::open(&self.directory.join("machine.jsonl"), NEMESIS)?;
        let stood_still = Arc::new(AtomicU64::new(0));
        let adding = stood_still.clone();
        thread::spawn(move || note_starvation(&watching, &adding));
        for client in &world.clients {
            world.launch(client)?;
        }
        world.recorder.record(0, "", Kind::Calm);
        thread::sleep(Duration::from_secs(2));
        let broken = self.inject(&world, &stood_still);
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
            recorder: Recorder::open(&self.directory.join("nemesis.jsonl"), NEMESIS)?,
            clients,
            network_faults: AtomicUsize::new(0),
            moved: Default::default(),
        })
    }

    /// What the machine stood still in is no part of the time.
    fn inject(&self, world: &World, stood_still: &AtomicU64) -> Result<(), String> {
        let until = now() + history::nanoseconds(self.length);
        let available = world.arena.faults();
        let mut number = 0;
        while now() < until + stood_still.load(Ordering::Relaxed) {
            let episode = schedule::episode(self.seed, number, &available);
            number += 1;
            world.strike(&episode);
            world.heal()?;
            thread::sleep(episode.calm);
        }
        Ok(())
    }
}
