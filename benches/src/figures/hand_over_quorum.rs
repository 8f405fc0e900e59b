//! How long a lock lies idle between two holders where a quorum grants it.

use std::sync::Arc;

use leasehold_testkit::RedisServer;

use super::Effort;
use super::hand_over::{Client, Kind, run};
use crate::report::{Figure, Target};
use crate::samples::Samples;
use crate::spread::Spread;
use crate::{Result, ours};

const MEMBERS: usize = 3;
const WAITERS: usize = 16;

/// Adds to the figure of a single master.
pub(super) async fn measure(figure: &mut Figure, effort: Effort) -> Result<()> {
    let rounds = effort.rounds();
    let servers = (0..MEMBERS)
        .map(|_| RedisServer::start())
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let urls: Vec<String> = servers.iter().map(|server| server.url()).collect();
    let mut clients = Vec::new();
    for number in 0..=WAITERS {
        let locker = ours::quorum(&urls).await?;
        // The members' gates open once they have been up for the longest lease.
        let warm = locker.acquire(format!("bench:warm:{number}")).await?;
        warm.release().await?;
        clients.push(Client::Ours(locker));
    }
    let clients = Arc::new(clients);
    let mut slices = Vec::new();
    for _ in 0..rounds.count {
        slices.push(run(Kind::Ours, &clients, &servers[0], rounds.slice).await?);
    }
    let case = format!("quorum of {MEMBERS}, {WAITERS} waiters");
    let quantile = |share: f64| {
        let of = |samples: &Samples| samples.quantile_us(share) / 1e3;
        Spread::of(slices.iter().map(|slice| of(&slice.latency)))
    };
    figure.add(&case, "ours, p50", "ms", quantile(0.5));
    figure.aim(
        &case,
        "ours, p99",
        "ms",
        quantile(0.99),
        Target::AtMost(100.0),
    );
    let sent = Spread::of(slices.iter().map(|slice| slice.sent));
    let measure = "ours, commands sent per grant to one member";
    figure.add(&case, measure, "", sent);
    Ok(())
}
