//! `leasehold bench`: what a lock costs on this Redis.

mod locks;
mod report;
mod samples;

use std::time::{Duration, Instant};

use leasehold::config::{Safety, Topology};
use leasehold::probe::{Hop, Probe};
use leasehold::{AcquireOptions, Config, Endpoint, Locker};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::locks::{Locks, lock_and_release};
use self::report::BenchReport;
use self::samples::Samples;
use crate::connect::Source;
use crate::exit::{self, Failure};
use crate::output::Output;
use crate::run::by_signal;
use crate::run::signals::Signals;
use crate::servers::{masters, views};

/// Measure what a lock costs on this Redis
///
/// Takes and releases throw-away locks below the name leasehold:bench:, each task one of its own, so
/// that nobody waits; beside it the same tasks send PING. Everything that it made is removed, also
/// when it is interrupted. It loads the server, and slows down its other clients.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long to measure
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// How many tasks share the connection
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    tasks: u16,
}

/// PING is measured for this part of the time before.
const PING_PART: u32 = 5;

/// How long locks that were asked for may take to be given back at the end.
const LEAVING: Duration = Duration::from_secs(5);

pub(crate) async fn main(
    arguments: &Arguments,
    source: &Source,
    output: Output,
) -> Result<u8, Failure> {
    let (config, topology) = source.servers("there is nothing to measure")?;
    let signals = Signals::catch();
    let mut signals = signals.map_err(|error| Failure::internal("catching signals", &error))?;
    let stop = CancellationToken::new();
    let names = names(arguments.tasks);
    let bench = Bench {
        names: &names,
        length: Duration::from_secs(arguments.seconds),
        stop: &stop,
        locker: tokio::select! {
            locker = Locker::connect(config.clone()) => locker?,
            number = signals.next() => return Ok(by_signal(number)),
        },
    };
    let measuring = bench.measure(&config, &topology);
    let mut measuring = std::pin::pin!(measuring);
    let mut interrupted = None;
    let measured = loop {
        tokio::select! {
            measured = &mut measuring => break measured,
            number = signals.next() => {
                interrupted = Some(number);
                stop.cancel();
            }
        }
    };
    bench.leave().await;
    let report = measured?;
    if report.locks.pair.count() > 0 {
        report.print(output);
    }
    Ok(interrupted.map_or(exit::OK, by_signal))
}

/// Names that nobody else uses.
fn names(tasks: u16) -> Vec<String> {
    let run = crate::run::deadline::Instant::now().as_nanoseconds();
    let process = std::process::id();
    let name = |task| format!("leasehold:bench:{process}-{run}:{task}");
    (0..tasks).map(name).collect()
}

struct Bench<'a> {
    locker: Locker,
    names: &'a [String],
    length: Duration,
    stop: &'a CancellationToken,
}

impl Bench<'_> {
    async fn measure(&self, config: &Config, topology: &Topology) -> Result<BenchReport, Failure> {
        let ping = self.ping(topology).await;
        self.open_gate(config).await?;
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for name in self.names {
            let (locker, name, stop) = (self.locker.clone(), name.clone(), self.stop.clone());
            let until = began + self.length;
            tasks.spawn(async move { lock_and_release(&locker, &name, until, &stop).await });
        }
        let mut locks = Locks::default();
        while let Some(done) = tasks.join_next().await {
            let done = done.map_err(|error| Failure::internal("measuring", &error))?;
            locks.add(done);
        }
        locks.took(began.elapsed());
        if let (0, Some(error)) = (locks.pair.count(), locks.last_failure.take()) {
            return Err(error.into());
        }
        Ok(BenchReport {
            topology: named(topology),
            safety: match config.lock.safety {
                Safety::Strict => "strict",
                Safety::Relaxed => "relaxed",
            },
            tasks: self.names.len(),
            ping,
            locks,
        })
    }

    /// A gate that a failover closed opens after one lease at the latest.
    async fn open_gate(&self, config: &Config) -> Result<(), Failure> {
        let Some(name) = self.names.first() else {
            return Ok(());
        };
        let patience = AcquireOptions::new().timeout(config.lock.max_ttl + Duration::from_secs(2));
        tokio::select! {
            lease = self.locker.acquire(name.as_str()).options(&patience) => {
                lease?.release().await?;
            }
            () = self.stop.cancelled() => {}
        }
        Ok(())
    }

    /// Round trips to the server that keeps the locks; `None` where there is no single one.
    async fn ping(&self, topology: &Topology) -> Option<Samples> {
        let node = master(topology).await?;
        let probe = Probe::open(topology, Hop::Node, &node).await.ok()?;
        let began = Instant::now();
        let until = began + self.length / PING_PART;
        let mut tasks = JoinSet::new();
        for _ in self.names {
            let (probe, stop) = (probe.clone(), self.stop.clone());
            tasks.spawn(async move {
                let mut samples = Samples::default();
                while Instant::now() < until && !stop.is_cancelled() {
                    let asked = Instant::now();
                    if probe.ask(&["PING"]).await.is_err() {
                        break;
                    }
                    samples.add(asked.elapsed());
                }
                samples
            });
        }
        let mut all = Samples::default();
        while let Some(done) = tasks.join_next().await {
            all.merge(done.ok()?);
        }
        all.took(began.elapsed());
        Some(all)
    }

    /// Releases what is still held, whatever became of the measurement.
    async fn leave(&self) {
        let _ = self.locker.clone().close(LEAVING).await;
    }
}

async fn master(topology: &Topology) -> Option<Endpoint> {
    match topology {
        Topology::Standalone(standalone) => Some(standalone.endpoint.clone()),
        Topology::Sentinel(configured) => {
            let views = views(topology, configured).await;
            masters(&views, configured).into_iter().next()
        }
        // One node stands for all: each lock is on one of them.
        Topology::Cluster(cluster) => cluster.seeds.first().cloned(),
        _ => None,
    }
}

fn named(topology: &Topology) -> &'static str {
    match topology {
        Topology::Standalone(_) => "standalone",
        Topology::Sentinel(_) => "sentinel",
        Topology::Cluster(_) => "cluster",
        Topology::Quorum(_) => "quorum",
        _ => "unknown",
    }
}
