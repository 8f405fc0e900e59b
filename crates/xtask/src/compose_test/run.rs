//! One run: the cluster up, the workers at work, fault after fault, and everything that was recorded.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::cluster::{Cluster, Layout, RESOURCE, WORKERS, wait};
use super::engine::{Engine, docker, output};
use super::faults::{self, Fault, Victim};
use super::history::{Finding, Log};
use super::images::Images;
use super::say;
use crate::demo::history::{History, Record};
use crate::demo::late::{ask, write_late};
use crate::demo::register::{Step, parse_journal};
use crate::demo::verdict::Verdict;

/// How long a fault lasts at least; one that leaves the master alone would be over at once.
const FAULT: Duration = Duration::from_secs(2);

type Failure = Box<dyn Error + Send + Sync>;

/// A fault, and how the work went on.
pub(super) struct Injected {
    pub(super) fault: Fault,
    pub(super) service: &'static str,
    /// From the fault to a step in the journal that was begun after it.
    pub(super) until_work: Duration,
}

impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.fault.in_words();
        let seconds = self.until_work.as_secs_f64();
        write!(
            f,
            "{seconds:5.1} s until work goes on when {what} ({})",
            self.service
        )
    }
}

/// What came of a run.
pub(super) struct Run {
    pub(super) layout: Layout,
    pub(super) injected: Vec<Injected>,
    pub(super) history: History,
    pub(super) verdict: Verdict,
    /// What the workers themselves did wrong.
    pub(super) complaints: Vec<String>,
    /// What the checker of the fault campaign found, in its own words.
    pub(super) finding: Finding,
    pub(super) up: Duration,
}

impl Run {
    pub(super) fn is_good(&self) -> bool {
        // That work went on after each fault was waited for.
        self.verdict.is_safe() && self.finding.is_innocent && self.complaints.is_empty()
    }
}

pub(super) fn run(
    engine: &Engine,
    images: &Images,
    source: &Path,
    directory: &Path,
    layout: Layout,
) -> Result<Run, Failure> {
    let beginning = Instant::now();
    let cluster = Cluster::start(engine, images, source, directory, layout)?;
    wait_for_steps(&cluster, 2)?;
    let up = beginning.elapsed();
    say(&format!(
        "{}: the workers work after {:.1} s",
        layout.file(),
        up.as_secs_f64()
    ));

    let mut injected = Vec::new();
    let mut log = Log::default();
    for fault in faults::of(layout) {
        let one = inject(&cluster, fault, &mut log)?;
        say(&format!("{}: {one}", layout.file()));
        injected.push(one);
    }
    cluster.settle()?;
    log.whole();
    wait_for_steps(&cluster, 2)?;

    say(&format!("{}: stopping the workers", layout.file()));
    let (history, complaints) = collect(&cluster, directory, &mut log)?;
    let written = directory.join(layout.file());
    Ok(Run {
        layout,
        finding: log.check(&history.journal, &written)?,
        injected,
        verdict: Verdict::of(&history),
        history,
        complaints,
        up,
    })
}

fn inject(cluster: &Cluster<'_>, fault: Fault, log: &mut Log) -> Result<Injected, Failure> {
    let master = cluster.settle()?;
    let service = fault.service(master);
    log.began(fault, service);
    let began = Instant::now();
    fault.inject(cluster, service)?;
    // The first new step may have been on its way already.
    wait_for_steps(cluster, 2)?;
    let until_work = began.elapsed();
    if fault.victim == Victim::Master {
        wait("a new master", || match cluster.master()? {
            same if same == service => Err(format!("it is still {same}")),
            _ => Ok(()),
        })?;
    }
    sleep(FAULT.saturating_sub(began.elapsed()));
    fault.end(cluster, service)?;
    log.ended(fault, service);
    Ok(Injected {
        fault,
        service,
        until_work,
    })
}

/// Waits until this many more steps are in the journal.
fn wait_for_steps(cluster: &Cluster<'_>, count: u64) -> Result<(), String> {
    let last = || -> Result<u64, String> {
        let answer =
            ask(cluster.journal, "last").map_err(|error| format!("the journal: {error}"))?;
        answer
            .parse()
            .map_err(|_| format!("the journal answered {answer:?}"))
    };
    let goal = wait("the journal", last)? + count;
    wait("work to go on", || match last()? {
        step if step < goal => Err(format!("the journal ends at step {step}")),
        _ => Ok(()),
    })
}

/// Stops the workers, and gathers what they and the journal recorded.
fn collect(
    cluster: &Cluster<'_>,
    directory: &Path,
    log: &mut Log,
) -> Result<(History, Vec<String>), Failure> {
    let mut history = History {
        workers: WORKERS,
        ..History::default()
    };
    let mut complaints = Vec::new();
    let workers: Result<Vec<String>, String> = (1..=WORKERS)
        .map(|number| cluster.container(&format!("worker-{number}")))
        .collect();
    let workers = workers?;
    let stop = ["stop", "--time", "15"];
    log.stopping();
    docker(stop.into_iter().chain(workers.iter().map(String::as_str)))?;
    for (index, worker) in workers.iter().enumerate() {
        let state = "{{.State.ExitCode}} {{.RestartCount}}";
        let ended = docker(["inspect", "--format", state, worker])?;
        if ended != "0 0" {
            complaints.push(format!(
                "worker-{}: exit code and restarts are {ended}; it said {:?}",
                index + 1,
                errors(worker)?
            ));
        }
        let lines = docker(["logs", worker])?;
        log.worker(index, &lines);
        history.add(index, lines.lines().filter_map(Record::read).collect());
    }
    if cluster.is_held(RESOURCE)? {
        log.leftover(RESOURCE);
    }
    let journal = read_journal(cluster, directory)?;
    let answer = write_late(cluster.journal, &journal)?;
    if answer.as_deref() != Some("refused") {
        complaints.push(format!(
            "a write under the first fence was answered {answer:?}"
        ));
    }
    history.journal = read_journal(cluster, directory)?;
    Ok((history, complaints))
}

/// Why a worker ended, each time, by its own words.
fn errors(worker: &str) -> Result<Vec<String>, String> {
    let command = "docker logs \"$1\" 2>&1 >/dev/null | grep '^Error' || true";
    let said = output(Command::new("sh").args(["-c", command, "sh", worker]))?;
    Ok(said.lines().map(str::to_owned).collect())
}

fn read_journal(cluster: &Cluster<'_>, directory: &Path) -> Result<Vec<Step>, Failure> {
    let copy = directory.join(format!("{}.journal", cluster.layout.file()));
    let inside = format!("{}:/data/journal", cluster.container("journal")?);
    docker(["cp", &inside, &copy.display().to_string()])?;
    Ok(parse_journal(&std::fs::read_to_string(copy)?)?)
}
