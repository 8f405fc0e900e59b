//! One run: a Sentinel cluster, four workers, a frozen holder, a dead master.

use std::error::Error;
use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use leasehold_testkit::SentinelCluster;
use rustix::time::{ClockId, clock_gettime};

use super::history::{Event, History, Micros, Step};
use super::late::write_late;
use super::options::Options;
use super::register::{Register, parse_journal};
use super::verdict::{DOWN_AFTER, first_grant_after_failover};
use super::workers::Worker;

const WORKERS: usize = 4;
/// Short, so that the pause that strict mode makes after a failover is short.
const LEASE: Duration = Duration::from_secs(2);
/// How long a frozen holder sleeps: past the end of its lease.
const FREEZE: Duration = Duration::from_millis(2700);
/// How long the failover may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of a run.
pub(crate) struct Run {
    pub(crate) history: History,
    /// What the processes themselves did wrong.
    pub(crate) complaints: Vec<String>,
}

/// Plays it all in `directory`, which is left with the journal and the workers' logs.
pub(crate) fn run(
    options: &Options,
    program: &Path,
    directory: &Path,
) -> Result<Run, Box<dyn Error>> {
    say("starting one master, two replicas and three Sentinels");
    let cluster = SentinelCluster::builder()
        .down_after(Duration::from_micros(DOWN_AFTER))
        .start()?;
    std::fs::write(directory.join(".env"), env_file(&cluster, options))?;
    let register = Register::start("127.0.0.1:0", &directory.join("journal"))?;

    let mut history = History {
        start: now(),
        workers: WORKERS,
        ..History::default()
    };
    let opening = Instant::now();
    say("starting four workers that contend for one lease");
    let workers: Result<Vec<Worker>, _> = (1..=WORKERS)
        .map(|number| Worker::start(program, number, directory, &register.address().to_string()))
        .collect();
    let mut workers = workers?;

    sleep_until(opening + options.length() / 5);
    freeze_a_holder(&workers, &mut history)?;
    late_write(&register, directory, &mut history)?;
    sleep_until(opening + options.length() / 2);
    wait_for_a_holder(&workers);
    fail_over(&cluster, &mut history)?;
    wait_for_work(&workers, &history);
    late_write(&register, directory, &mut history)?;
    sleep_until(opening + options.length());
    history.end = now();

    let complaints = close(&mut workers, &mut history);
    history.journal = journal(directory)?;
    history.refused = register.refused();
    Ok(Run {
        history,
        complaints,
    })
}

/// What a worker finds in its directory: the documented variables, nothing else.
fn env_file(cluster: &SentinelCluster, options: &Options) -> String {
    let mut lines = vec!["IS_LOCKING_DISABLED=false".to_owned()];
    let cluster = cluster.env();
    lines.extend(
        cluster
            .iter()
            .map(|(name, value)| format!("{name}={value}")),
    );
    let lease = LEASE.as_secs();
    lines.push(format!("LOCK_TTL={lease}s"));
    lines.push(format!("LOCK_MAX_TTL={lease}s"));
    lines.push(format!("LOCK_SAFETY={}", options.safety));
    lines.join("\n") + "\n"
}

/// Stops a worker in the middle of its lease for longer than the lease lasts.
fn freeze_a_holder(workers: &[Worker], history: &mut History) -> Result<(), Box<dyn Error>> {
    let give_up = Instant::now() + PATIENCE;
    while Instant::now() < give_up {
        for (index, worker) in workers.iter().enumerate() {
            if !worker.is_holding() {
                continue;
            }
            let from = now();
            worker.process.pause()?;
            // What it wrote before it froze has arrived by now: it may have just finished.
            sleep(Duration::from_millis(20));
            if worker.is_holding() {
                say(&format!("freezing worker-{} while it holds", index + 1));
                sleep(FREEZE);
                worker.process.resume()?;
                let until = now();
                history.events.push(Event::Frozen {
                    worker: index,
                    from,
                    until,
                });
                return Ok(());
            }
            worker.process.resume()?;
        }
        sleep(Duration::from_millis(5));
    }
    Err("no worker was granted the lease; see the workers' logs".into())
}

/// A master that dies while nobody holds anything is the easy case.
fn wait_for_a_holder(workers: &[Worker]) {
    let give_up = Instant::now() + LEASE;
    while Instant::now() < give_up && !workers.iter().any(Worker::is_holding) {
        sleep(Duration::from_millis(1));
    }
}

fn late_write(
    register: &Register,
    directory: &Path,
    history: &mut History,
) -> Result<(), Box<dyn Error>> {
    let answer = write_late(register.address(), &journal(directory)?)?;
    history.late_writes += usize::from(answer.is_some());
    Ok(())
}

fn journal(directory: &Path) -> io::Result<Vec<Step>> {
    parse_journal(&std::fs::read_to_string(directory.join("journal"))?)
}

fn fail_over(cluster: &SentinelCluster, history: &mut History) -> Result<(), Box<dyn Error>> {
    say("killing the master (SIGKILL)");
    let at = now();
    let old = cluster.kill_master()?;
    history.events.push(Event::Killed { node: old, at });
    let new = cluster.wait_for_new_master(old)?;
    history.events.push(Event::Promoted {
        node: new,
        at: now(),
    });
    say(&format!("the Sentinels promoted node {new}"));
    Ok(())
}

/// Waits until the new master has granted something, and some time for work on top.
fn wait_for_work(workers: &[Worker], so_far: &History) {
    let give_up = Instant::now() + PATIENCE;
    while Instant::now() < give_up {
        let mut history = so_far.clone();
        for (index, worker) in workers.iter().enumerate() {
            history.add(index, worker.records());
        }
        if first_grant_after_failover(&history).is_some() {
            say("the lease is granted again");
            return sleep(LEASE);
        }
        sleep(Duration::from_millis(50));
    }
}

fn close(workers: &mut [Worker], history: &mut History) -> Vec<String> {
    say("stopping the workers");
    let mut complaints = Vec::new();
    for (index, worker) in workers.iter_mut().enumerate() {
        if let Some(complaint) = worker.stop() {
            complaints.push(format!("worker-{} {complaint}", index + 1));
        }
        history.add(index, worker.records());
    }
    complaints
}

fn sleep_until(when: Instant) {
    sleep(when.saturating_duration_since(Instant::now()));
}

fn now() -> Micros {
    let now = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

/// Progress goes to standard error, so that standard output is the result alone.
pub(crate) fn say(what: &str) {
    eprintln!("demo: {what}");
}
