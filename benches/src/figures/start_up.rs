//! From nothing to the first lease.

use std::time::Instant;

use leasehold_testkit::RedisServer;

use super::Effort;
use crate::controls::bare::{self, Bare};
use crate::report::Figure;
use crate::spread::Spread;
use crate::tap::Template;
use crate::{Result, ours};

/// A start takes milliseconds: there is time for more of them than there are rounds.
const STARTS_PER_ROUND: usize = 10;

pub(super) async fn measure(effort: Effort) -> Result<Figure> {
    let server = RedisServer::start()?;
    let locker = ours::standalone(&server, &[]).await?;
    let template = Template::record(&server, &locker).await?;
    let (mut ours_ms, mut bare_ms) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds * STARTS_PER_ROUND {
        let began = Instant::now();
        let locker = ours::standalone(&server, &[]).await?;
        let lease = locker.acquire("bench:first").await?;
        ours_ms.push(began.elapsed().as_secs_f64() * 1e3);
        lease.release().await?;
        drop(locker);

        let began = Instant::now();
        let connection = bare::connect(&server).await?;
        Bare::new(&connection, &template, "bench:first")
            .pair()
            .await?;
        bare_ms.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let mut figure = Figure::new("start-up", "how long from start-up to the first lease?");
    let ratio = Spread::of_ratios(&ours_ms, &bare_ms);
    figure.add(
        "one Redis",
        "ours / bare redis crate, with a release",
        "",
        ratio,
    );
    figure.add("one Redis", "ours", "ms", Spread::of(ours_ms));
    Ok(figure)
}
