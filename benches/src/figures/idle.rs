//! What waiting costs while nothing happens.

use futures_util::future::try_join_all;
use leasehold_testkit::RedisServer;

use super::Effort;
use crate::report::{Figure, Target};
use crate::server_stats::Commands;
use crate::spread::Spread;
use crate::{Result, ours};

const WAITERS: usize = 128;

pub(super) async fn measure(effort: Effort) -> Result<Figure> {
    let server = RedisServer::start()?;
    let holder = ours::standalone(&server, &[]).await?;
    let lease = holder.acquire("bench:held").await?;
    let connecting = (0..WAITERS).map(|_| ours::standalone(&server, &[]));
    let lockers = try_join_all(connecting).await?;
    let waiting: Vec<_> = lockers
        .iter()
        .map(|locker| {
            let locker = locker.clone();
            tokio::spawn(async move { locker.acquire("bench:held").await })
        })
        .collect();
    let queued = || async {
        let length = server.command(&["ZCARD", "{bench:held}:queue"])?;
        Ok::<_, crate::Error>(length == redis::Value::Int(WAITERS as i64))
    };
    while !queued().await? {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    let length = effort.while_of(2.0);
    let before = Commands::so_far(&server)?;
    tokio::time::sleep(length).await;
    let commands = Commands::so_far(&server)?.since(&before);
    let sent = commands.calls("evalsha") + commands.calls("eval") + commands.calls("ping");
    let per_waiter =
        |count: u64| Spread::once(count as f64 / length.as_secs_f64() / WAITERS as f64);
    for waiter in &waiting {
        waiter.abort();
    }
    drop(lease);

    let case = format!("{WAITERS} waiters, held {} s", length.as_secs());
    let mut figure = Figure::new("idle", "what do waiters cost while the lock stays held?");
    let all = per_waiter(commands.total());
    let measure = "commands sent per waiter";
    figure.aim(&case, measure, "/s", per_waiter(sent), Target::AtMost(1.0));
    figure.add(&case, "those in scripts included", "/s", all);
    Ok(figure)
}
