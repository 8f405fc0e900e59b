//! What strict mode adds to relaxed mode, on a Sentinel cluster.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use leasehold::Locker;
use leasehold_testkit::SentinelCluster;

use super::Effort;
use crate::controls::{bare, ping};
use crate::report::{Figure, Target};
use crate::samples::Samples;
use crate::spread::Spread;
use crate::{Result, ours};

const TASKS: usize = 64;

/// What one round measured.
struct Round {
    relaxed: Samples,
    strict: Samples,
    relaxed_many: Samples,
    strict_many: Samples,
    ping: Samples,
    replication: Samples,
}

pub(super) async fn measure(effort: Effort) -> Result<Figure> {
    let cluster = tokio::task::block_in_place(SentinelCluster::start)?;
    // A new deployment opens its gate once the server has been up for the longest lease.
    let short = [("LOCK_TTL", "3s"), ("LOCK_MAX_TTL", "3s")];
    let with = |safety| [short[0], short[1], ("LOCK_SAFETY", safety)];
    let relaxed = ours::sentinel(&cluster, &with("relaxed")).await?;
    let strict = ours::sentinel(&cluster, &with("strict")).await?;
    let connection = bare::connect(cluster.master()?).await?;
    for locker in [&relaxed, &strict] {
        locker.acquire("bench:warm").await?.release().await?;
    }

    let rounds = effort.rounds();
    let mut measured = Vec::new();
    for number in 0..=rounds.count {
        let slice = rounds.slice;
        let round = Round {
            ping: ping::ping(&connection, slice / 4).await?,
            relaxed: run(&relaxed, 1, slice).await?,
            strict: run(&strict, 1, slice).await?,
            replication: ping::replicate(&connection, slice / 4).await?,
            relaxed_many: run(&relaxed, TASKS, slice).await?,
            strict_many: run(&strict, TASKS, slice).await?,
        };
        // The first round warms up.
        if number > 0 {
            measured.push(round);
        }
    }
    Ok(report(&measured))
}

async fn run(locker: &Locker, tasks: usize, slice: Duration) -> Result<Samples> {
    let began = Instant::now();
    let running = (0..tasks).map(|number| {
        let (locker, resource) = (locker.clone(), format!("bench:{number}"));
        async move {
            let work = tokio::spawn(async move {
                let mut took = Vec::new();
                while began.elapsed() < slice {
                    let asked = Instant::now();
                    locker.acquire(&resource).await?.release().await?;
                    took.push(asked.elapsed());
                }
                Ok::<_, crate::Error>(took)
            });
            work.await?
        }
    });
    let took = try_join_all(running).await?;
    let elapsed = began.elapsed();
    Ok(Samples::new(took.into_iter().flatten(), elapsed))
}

fn report(rounds: &[Round]) -> Figure {
    let spread = |what: fn(&Round) -> f64| Spread::of(rounds.iter().map(what));
    let mut figure = Figure::new(
        "strict",
        "what does strict mode add to an acquire and release?",
    );
    figure.aim(
        "1 task",
        "p50 added, in replication round trips",
        "",
        spread(|round| added_us(round) / round.replication.quantile_us(0.5)),
        Target::AtMost(2.0),
    );
    figure.add(
        "1 task",
        "p50 added, in PINGs",
        "",
        spread(|round| added_us(round) / round.ping.quantile_us(0.5)),
    );
    figure.aim(
        &format!("{TASKS} tasks"),
        "throughput, strict / relaxed",
        "",
        spread(|round| round.strict_many.per_second() / round.relaxed_many.per_second()),
        Target::AtLeast(0.5),
    );
    figure.add(
        "1 task",
        "relaxed, p50",
        "µs",
        spread(|round| round.relaxed.quantile_us(0.5)),
    );
    figure.add(
        "1 task",
        "strict, p50",
        "µs",
        spread(|round| round.strict.quantile_us(0.5)),
    );
    figure.add(
        "replication",
        "SET and WAIT 1, p50",
        "µs",
        spread(|round| round.replication.quantile_us(0.5)),
    );
    figure.add(
        "network",
        "PING, p50",
        "µs",
        spread(|round| round.ping.quantile_us(0.5)),
    );
    figure
}

fn added_us(round: &Round) -> f64 {
    round.strict.quantile_us(0.5) - round.relaxed.quantile_us(0.5)
}
