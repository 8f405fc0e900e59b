//! Acquire and release of free locks: ours, the limit that the client library sets, and rslock.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use leasehold::Locker;
use leasehold_testkit::RedisServer;
use redis::aio::MultiplexedConnection;
use rslock::LockManager;

use super::Effort;
use crate::controls::{bare, bare::Bare, rslock as redlock};
use crate::report::{Figure, Target};
use crate::rounds::Rounds;
use crate::samples::Samples;
use crate::spread::Spread;
use crate::tap::Template;
use crate::{Result, ours, process, server_stats};

const TASKS: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, 256];

/// The contenders, each with one connection that all its tasks share.
struct Contenders {
    server: RedisServer,
    locker: Locker,
    bare: MultiplexedConnection,
    template: Template,
    redlock: LockManager,
}

/// One task's way to acquire and release its own lock.
enum Task {
    Ours(Locker, String),
    Bare(Bare),
    Redlock(LockManager, String),
}

pub(super) async fn measure(effort: Effort) -> Result<Figure> {
    let server = RedisServer::start()?;
    let locker = ours::standalone(&server, &[]).await?;
    let template = Template::record(&server, &locker).await?;
    let contenders = Contenders {
        locker,
        bare: bare::connect(&server).await?,
        template,
        redlock: redlock::manager(&server),
        server,
    };
    let mut figure = Figure::new(
        "uncontended",
        "what does acquiring and releasing a free lock cost?",
    );
    for tasks in TASKS {
        let slices = contenders.run(tasks, effort.rounds()).await?;
        report(&mut figure, tasks, &slices);
    }
    Ok(figure)
}

/// What one slice measured.
struct Slice {
    samples: Samples,
    /// Processor time of a pair in this process and in the server, µs.
    client_us: f64,
    server_us: f64,
}

/// The slices of each contender, round by round.
type Slices = [Vec<Slice>; 3];

impl Contenders {
    async fn run(&self, tasks: usize, rounds: Rounds) -> Result<Slices> {
        let mut slices = Slices::default();
        // The first round warms up.
        for round in 0..=rounds.count {
            for contender in Rounds::turns(round, slices.len()) {
                let tasks = (0..tasks)
                    .map(|number| self.task(contender, number))
                    .collect();
                let slice = self.run_slice(tasks, rounds).await?;
                if round > 0 {
                    slices[contender].push(slice);
                }
            }
        }
        Ok(slices)
    }

    async fn run_slice(&self, tasks: Vec<Task>, rounds: Rounds) -> Result<Slice> {
        let used = || {
            let client = process::processor_time().unwrap_or_default();
            Ok::<_, crate::Error>((client, server_stats::processor_time(&self.server)?))
        };
        let before = used()?;
        let samples = run_tasks(tasks, rounds).await?;
        let after = used()?;
        let each = |used: Duration| used.as_secs_f64() * 1e6 / samples.count() as f64;
        Ok(Slice {
            client_us: each(after.0.saturating_sub(before.0)),
            server_us: each(after.1.saturating_sub(before.1)),
            samples,
        })
    }

    fn task(&self, contender: usize, number: usize) -> Task {
        let resource = format!("bench:{contender}:{number}");
        match contender {
            0 => Task::Ours(self.locker.clone(), resource),
            1 => Task::Bare(Bare::new(&self.bare, &self.template, &resource)),
            _ => Task::Redlock(self.redlock.clone(), resource),
        }
    }
}

impl Task {
    async fn pair(&mut self) -> Result<()> {
        match self {
            Self::Ours(locker, resource) => {
                locker.acquire(&*resource).await?.release().await?;
            }
            Self::Bare(bare) => bare.pair().await?,
            Self::Redlock(manager, resource) => {
                redlock::acquire(manager, resource).await?.release().await;
            }
        }
        Ok(())
    }
}

async fn run_tasks(tasks: Vec<Task>, rounds: Rounds) -> Result<Samples> {
    let began = Instant::now();
    let running = tasks.into_iter().map(|mut task| async move {
        let work = tokio::spawn(async move {
            let mut took = Vec::new();
            while began.elapsed() < rounds.slice {
                let asked = Instant::now();
                task.pair().await?;
                took.push(asked.elapsed());
            }
            Ok::<_, crate::Error>(took)
        });
        work.await?
    });
    let took = try_join_all(running).await?;
    let elapsed = began.elapsed();
    Ok(Samples::new(took.into_iter().flatten(), elapsed))
}

fn report(figure: &mut Figure, tasks: usize, slices: &Slices) {
    let case = if tasks == 1 {
        "1 task".to_owned()
    } else {
        format!("{tasks} tasks")
    };
    let [ours, bare, redlock] = slices;
    let of = |slices: &[Slice], what: What| -> Vec<f64> { slices.iter().map(what).collect() };
    let ratio = |others, what| Spread::of_ratios(&of(ours, what), &of(others, what));
    let rate: What = |slice| slice.samples.per_second();
    let p50: What = |slice| slice.samples.quantile_us(0.5);
    let client: What = |slice| slice.client_us;
    let server: What = |slice| slice.server_us;

    let to_bare = "throughput, ours / bare redis crate";
    if tasks == 1 {
        let target = Target::AtMost(1.1);
        figure.aim(
            &case,
            "p50, ours / bare redis crate",
            "",
            ratio(bare, p50),
            target,
        );
        figure.add(&case, to_bare, "", ratio(bare, rate));
    } else {
        figure.aim(&case, to_bare, "", ratio(bare, rate), Target::AtLeast(0.9));
    }
    let target = Target::AtLeast(1.0);
    figure.aim(
        &case,
        "throughput, ours / rslock",
        "",
        ratio(redlock, rate),
        target,
    );
    figure.add(
        &case,
        "processor, client, ours / bare redis crate",
        "",
        ratio(bare, client),
    );
    figure.add(
        &case,
        "processor, client, ours / rslock",
        "",
        ratio(redlock, client),
    );
    figure.aim(
        &case,
        "processor, server, ours / rslock",
        "",
        ratio(redlock, server),
        Target::AtMost(1.1),
    );
    let ours = |what| Spread::of(of(ours, what));
    figure.add(&case, "ours", "pairs/s", ours(rate));
    figure.add(&case, "ours, p50", "µs", ours(p50));
    figure.add(&case, "ours, processor of client", "µs", ours(client));
    figure.add(&case, "ours, processor of server", "µs", ours(server));
}

/// Reads one number off a slice.
type What = fn(&Slice) -> f64;
