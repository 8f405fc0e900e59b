//! The campaign against quorum mode: five independent masters, of which a minority is struck at a time, and the same
//! clients, register and checker.
//!
//! A member that is killed comes back empty. That fewer than a majority lose their memory within one longest lease is
//! assumed, so at most two of the five are struck in one episode, and each episode is followed by a calm that is longer
//! than a lease.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use leasehold_testkit::{ChildProcess, Mode, Proxy, RedisServer, Result};

use crate::client::Assignment;
use crate::history::{Kind, Recorder, nanoseconds, now};
use crate::outcome::{Outcome, examine};
use crate::plan::{Campaign, LAST_ROUND, TTL, lock_variables};
use crate::random::Random;
use crate::register::Register;

const MEMBERS: usize = 5;
/// How many may be struck at once: less than a majority.
const STRUCK: u64 = 2;

/// What can happen to a member, how often, and for how long in milliseconds.
const TABLE: &[(Blow, u64, (u64, u64))] = &[
    (Blow::Kill, 6, (10, 2_000)),
    (Blow::Pause, 6, (200, 3_500)),
    (Blow::Flush, 2, (10, 100)),
    (Blow::Part, 6, (500, 3_500)),
    (Blow::Latency, 4, (300, 2_000)),
    (Blow::LostReplies, 4, (300, 2_000)),
    (Blow::ScriptFlush, 1, (10, 100)),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
    Kill,
    Pause,
    Flush,
    Part,
    Latency,
    LostReplies,
    ScriptFlush,
}

impl Blow {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill-member",
            Self::Pause => "pause-member",
            Self::Flush => "flush-member",
            Self::Part => "part-member",
            Self::Latency => "latency",
            Self::LostReplies => "lost-replies",
            Self::ScriptFlush => "script-flush",
        }
    }
}

/// Five members, the clients, and what stands between them.
struct Field {
    members: Vec<RedisServer>,
    /// Clients with an odd number reach the members through these.
    proxies: Vec<Proxy>,
    recorder: Recorder,
    clients: Vec<Runner>,
    template: Assignment,
    program: PathBuf,
    directory: PathBuf,
}

/// One client after another in the same place.
#[derive(Default)]
struct Runner {
    life: usize,
    process: Option<ChildProcess>,
}

/// Runs the campaign and checks its history.
///
/// # Errors
///
/// When the servers do not come up, or the history cannot be written.
pub fn run(campaign: &Campaign) -> io::Result<Outcome> {
    let _register;
    let mut field = {
        let directory = campaign.directory.clone();
        let recorder = Recorder::open(&directory.join("nemesis.jsonl"), "nemesis")?;
        let register = Recorder::open(&directory.join("register.jsonl"), "register")?;
        let register = Register::start(register)?;
        let port = register.port();
        _register = register;
        Field::start(campaign, recorder, port).map_err(io::Error::other)?
    };
    for number in 0..field.clients.len() {
        field.launch(number)?;
    }
    field.recorder.record(0, "", Kind::Calm);
    // The gates of new members open when they have been up for one longest lease.
    thread::sleep(2 * TTL);
    let until = now() + nanoseconds(campaign.length);
    let mut random = Random::seeded(campaign.seed);
    while now() < until {
        field.episode(&mut random)?;
    }
    thread::sleep(TTL);
    field.dismiss();
    thread::sleep(2 * TTL);
    field.look_for_leftovers();
    drop(field);
    examine(&campaign.directory, campaign.seed, campaign.protocol)
}

impl Field {
    fn start(campaign: &Campaign, recorder: Recorder, register: u16) -> Result<Self> {
        let members = (0..MEMBERS)
            .map(|_| RedisServer::start())
            .collect::<Result<Vec<RedisServer>>>()?;
        let proxies = members
            .iter()
            .map(|member| Proxy::start(member.address()))
            .collect::<Result<Vec<Proxy>>>()?;
        let template = Assignment {
            process: String::new(),
            protocol: campaign.protocol,
            seed: campaign.seed,
            tasks: 4,
            resources: (1..=6).map(|number| format!("resource-{number}")).collect(),
            ttl_ms: u64::try_from(TTL.as_millis()).unwrap_or(u64::MAX),
            register: format!("127.0.0.1:{register}"),
            sentinels: Vec::new(),
            variables: lock_variables(),
            history: PathBuf::new(),
        };
        Ok(Self {
            members,
            proxies,
            recorder,
            clients: (0..campaign.clients).map(|_| Runner::default()).collect(),
            template,
            program: campaign.program.clone(),
            directory: campaign.directory.clone(),
        })
    }

    fn launch(&mut self, number: usize) -> io::Result<()> {
        let nodes: Vec<String> = (0..MEMBERS)
            .map(|member| match number % 2 {
                0 => format!("redis://{}", self.members[member].address()),
                _ => format!("redis://{}", self.proxies[member].address()),
            })
            .collect();
        let runner = &mut self.clients[number];
        runner.life += 1;
        let process = format!("client-{number}.{}", runner.life);
        let mut assignment = Assignment {
            process: process.clone(),
            seed: self
                .template
                .seed
                .wrapping_add((number * 1_000 + runner.life) as u64),
            history: self.directory.join(format!("{process}.jsonl")),
            ..self.template.clone()
        };
        assignment
            .variables
            .push(("LOCK_REDLOCK_NODES".into(), nodes.join(",")));
        let mut command = std::process::Command::new(&self.program);
        command
            .arg("client")
            .arg(serde_json::to_string(&assignment)?);
        let log = File::create(self.directory.join(format!("{process}.log")))?;
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log);
        runner.process = Some(ChildProcess::spawn(command).map_err(io::Error::other)?);
        Ok(())
    }

    /// Strikes up to two members and a client at once, mends everything, and leaves it alone for a while.
    fn episode(&mut self, random: &mut Random) -> io::Result<()> {
        self.recorder.record(0, "", Kind::Storm);
        let first = random.between(0, MEMBERS as u64);
        let struck = random.between(1, STRUCK + 1);
        let plans: Vec<_> = (0..struck)
            .map(|step| {
                let member = index((first + step * random.between(1, 3)) % MEMBERS as u64);
                let (blow, lasts) = draw(random);
                (member, blow, random.milliseconds(0, 1_000), lasts)
            })
            .collect();
        let client = index(random.between(0, self.clients.len() as u64));
        let client_blow = random.between(0, 3);
        let frozen = random.milliseconds(1_300, 3_500);
        match client_blow {
            0 => self.freeze(client, true),
            1 => self.kill(client),
            _ => {}
        }
        thread::scope(|scope| {
            for (member, blow, after, lasts) in &plans {
                let field = &*self;
                scope.spawn(move || {
                    thread::sleep(*after);
                    if let Err(error) = field.strike(*member, *blow, *lasts) {
                        eprintln!("{} of {member}: {error}", blow.name());
                    }
                });
            }
            if client_blow == 0 {
                thread::sleep(frozen);
            }
        });
        match client_blow {
            0 => self.freeze(client, false),
            1 => self.launch(client)?,
            _ => {}
        }
        self.heal().map_err(io::Error::other)?;
        self.recorder.record(0, "", Kind::Calm);
        thread::sleep(TTL + random.milliseconds(1_000, 2_000));
        Ok(())
    }

    fn strike(&self, member: usize, blow: Blow, lasts: Duration) -> Result<()> {
        let (server, proxy) = (&self.members[member], &self.proxies[member]);
        match blow {
            Blow::Kill => server.kill(),
            Blow::Pause => server.pause()?,
            Blow::Flush => server.flush()?,
            Blow::ScriptFlush => drop(server.command(&["SCRIPT", "FLUSH"])?),
            Blow::Part => proxy.set_mode(Mode::Blackhole)?,
            Blow::Latency => proxy.set_mode(Mode::Delay(Duration::from_millis(80)))?,
            Blow::LostReplies => proxy.set_mode(Mode::DropReplies)?,
        }
        let (fault, target) = (blow.name().to_owned(), format!("member {member}"));
        let begun = Kind::Fault {
            fault: fault.clone(),
            target: target.clone(),
        };
        self.recorder.record(0, "", begun);
        thread::sleep(lasts);
        match blow {
            Blow::Kill => server.restart_empty()?,
            Blow::Pause => server.resume()?,
            Blow::Part | Blow::Latency | Blow::LostReplies => proxy.set_mode(Mode::Pass)?,
            Blow::Flush | Blow::ScriptFlush => {}
        }
        self.recorder
            .record(0, "", Kind::FaultEnded { fault, target });
        Ok(())
    }

    fn heal(&self) -> Result<()> {
        for (member, proxy) in self.members.iter().zip(&self.proxies) {
            proxy.set_mode(Mode::Pass)?;
            if member.is_paused() {
                member.resume()?;
            }
            if !member.is_running() {
                member.restart_empty()?;
            }
        }
        Ok(())
    }

    fn freeze(&self, number: usize, frozen: bool) {
        let runner = &self.clients[number];
        let Some(process) = &runner.process else {
            return;
        };
        let victim = format!("client-{number}.{}", runner.life);
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
        } else {
            let _ = process.resume();
            self.recorder.record(0, "", Kind::Resumed { victim });
        }
    }

    fn kill(&mut self, number: usize) {
        let victim = format!("client-{number}.{}", self.clients[number].life);
        if let Some(process) = self.clients[number].process.take() {
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
    }

    /// Asks all clients to end, and waits.
    fn dismiss(&mut self) {
        for runner in &self.clients {
            // Closing its input is the sign.
            drop(runner.process.as_ref().and_then(ChildProcess::take_stdin));
        }
        let until = now() + nanoseconds(LAST_ROUND);
        for (number, runner) in self.clients.iter_mut().enumerate() {
            let left = Duration::from_nanos(until.saturating_sub(now()));
            if let Some(process) = runner.process.take()
                && process.wait(left).is_err()
            {
                eprintln!("client {number} does not end");
            }
        }
    }

    fn look_for_leftovers(&self) {
        for resource in &self.template.resources {
            for member in &self.members {
                let found = member.cli(&["EXISTS", resource]);
                if !found.is_ok_and(|count| count.trim() == "0") {
                    let key = format!("{resource} on {}", member.address());
                    self.recorder.record(0, resource, Kind::Leftover { key });
                }
            }
        }
    }
}

fn draw(random: &mut Random) -> (Blow, Duration) {
    let total = TABLE.iter().map(|(_, weight, _)| weight).sum();
    let mut point = random.between(0, total);
    for (blow, weight, (shortest, longest)) in TABLE {
        if point < *weight {
            return (*blow, random.milliseconds(*shortest, *longest));
        }
        point -= weight;
    }
    (Blow::Pause, TTL)
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or_default()
}
