//! One process with very many leases, and one with very many waiters.

use std::time::Duration;

use futures_util::future::try_join_all;
use leasehold::{Config, Locker};
use leasehold_testkit::RedisServer;
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};

use super::Effort;
use crate::process::{self, Part};
use crate::report::{Figure, Target};
use crate::server_stats::Commands;
use crate::spread::Spread;
use crate::{Error, Result, ours};

const LEASES: usize = 10_000;
const WAITERS: usize = 10_000;
const RESOURCES: usize = 100;
/// How many acquisitions are under way at once while the leases are taken.
const AT_ONCE: usize = 256;

/// What a part measured of itself.
#[derive(Serialize, Deserialize)]
struct Usage {
    bytes_each: f64,
    processor_share: f64,
    scripts_per_second: f64,
    connections: f64,
    lost: u64,
}

pub(super) async fn measure(effort: Effort) -> Result<Figure> {
    // Longer than a renewal interval.
    let seconds = effort.while_of(4.0).as_secs_f64().max(2.0);
    let mut figure = Figure::new(
        "scale",
        "what do 10,000 leases and 10,000 waiters cost a process?",
    );

    leases(&mut figure, seconds).await?;
    waiters(&mut figure, seconds).await?;
    Ok(figure)
}

async fn leases(figure: &mut Figure, seconds: f64) -> Result<()> {
    let server = RedisServer::start()?;
    let held = usage("hold", &server, seconds).await?;
    let case = format!("{LEASES} leases");
    figure.add(
        &case,
        "memory per lease",
        "KiB",
        Spread::once(held.bytes_each / 1024.0),
    );
    figure.add(
        &case,
        "processor",
        "% of a core",
        Spread::once(held.processor_share * 100.0),
    );
    figure.add(&case, "renewals per lease and interval", "", {
        let interval = leasehold::config::LockOptions::default().ttl / 3;
        Spread::once(held.scripts_per_second * interval.as_secs_f64() / LEASES as f64)
    });
    figure.add(
        &case,
        "scripts sent",
        "/s",
        Spread::once(held.scripts_per_second),
    );
    figure.aim(
        &case,
        "leases lost",
        "",
        Spread::once(held.lost as f64),
        Target::AtMost(0.0),
    );
    Ok(())
}

async fn waiters(figure: &mut Figure, seconds: f64) -> Result<()> {
    let server = RedisServer::start()?;
    let holder = ours::standalone(&server, &[]).await?;
    let holding =
        (0..RESOURCES).map(|number| holder.acquire(format!("bench:{number}")).into_future());
    let held = try_join_all(holding).await?;
    let waited = usage("wait", &server, seconds).await?;
    drop(held);
    let case = format!("{WAITERS} waiters on {RESOURCES} resources");
    figure.add(
        &case,
        "memory per waiter",
        "KiB",
        Spread::once(waited.bytes_each / 1024.0),
    );
    figure.add(
        &case,
        "processor",
        "% of a core",
        Spread::once(waited.processor_share * 100.0),
    );
    figure.add(
        &case,
        "scripts sent",
        "/s",
        Spread::once(waited.scripts_per_second),
    );
    // One of them is the holder's.
    let connections = Spread::once(waited.connections - 1.0);
    figure.aim(&case, "connections", "", connections, Target::AtMost(1.0));
    Ok(())
}

async fn usage(part: &str, server: &RedisServer, seconds: f64) -> Result<Usage> {
    let arguments = [
        part.to_owned(),
        server.port().to_string(),
        seconds.to_string(),
    ];
    Part::start(&arguments)?.outcome().await
}

/// One process: takes the leases and keeps them for a while.
pub(super) async fn hold(port: u16, seconds: f64) -> Result<()> {
    let server = Server::connect(port).await?;
    let locker = connect(port).await?;
    let before = Meter::read(&server).await?;
    let mut leases = Vec::with_capacity(LEASES);
    for first in (0..LEASES).step_by(AT_ONCE) {
        let numbers = first..LEASES.min(first + AT_ONCE);
        let taking = numbers.map(|number| locker.acquire(format!("bench:{number}")).into_future());
        leases.extend(try_join_all(taking).await?);
    }
    let usage = watch(&server, &before, LEASES, seconds).await?;
    let lost = leases.iter().filter(|lease| !lease.is_valid()).count() as u64;
    process::print(&Usage { lost, ..usage })
}

/// One process: waits for locks that stay held.
pub(super) async fn wait(port: u16, seconds: f64) -> Result<()> {
    let server = Server::connect(port).await?;
    let locker = connect(port).await?;
    let before = Meter::read(&server).await?;
    let waiting: Vec<_> = (0..WAITERS)
        .map(|number| {
            let (locker, resource) = (locker.clone(), format!("bench:{}", number % RESOURCES));
            tokio::spawn(async move { locker.acquire(resource).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let usage = watch(&server, &before, WAITERS, seconds).await?;
    for waiter in waiting {
        waiter.abort();
    }
    process::print(&usage)
}

async fn connect(port: u16) -> Result<Locker> {
    let locker = Locker::connect(Config::from_vars(ours::standalone_env(port))?).await?;
    // Whatever is made once, on first use, does not count.
    locker.acquire("bench:warm").await?.release().await?;
    Ok(locker)
}

/// Measures for a while, from now on, what `count` leases or waiters use.
async fn watch(server: &Server, before: &Meter, count: usize, seconds: f64) -> Result<Usage> {
    let first = Meter::read(server).await?;
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    let last = Meter::read(server).await?;
    Ok(Usage {
        bytes_each: (first.bytes - before.bytes) / count as f64,
        processor_share: (last.processor_s - first.processor_s) / seconds,
        scripts_per_second: last.commands.since(&first.commands).calls("evalsha") as f64 / seconds,
        // All but the one that asks.
        connections: last.connections - 1.0,
        lost: 0,
    })
}

/// The part's own view of the server.
struct Server(MultiplexedConnection);

impl Server {
    async fn connect(port: u16) -> Result<Self> {
        let client = redis::Client::open(("127.0.0.1", port))?;
        Ok(Self(client.get_multiplexed_async_connection().await?))
    }

    async fn info(&self, section: &str) -> Result<String> {
        let mut connection = self.0.clone();
        Ok(redis::cmd("INFO")
            .arg(section)
            .query_async(&mut connection)
            .await?)
    }
}

/// What the process has used so far, and what the server has seen.
struct Meter {
    bytes: f64,
    processor_s: f64,
    commands: Commands,
    connections: f64,
}

impl Meter {
    async fn read(server: &Server) -> Result<Self> {
        let clients = server.info("clients").await?;
        let mut lines = clients.lines();
        let connected = lines.find_map(|line| line.strip_prefix("connected_clients:"));
        let missing = || Error::from("the server does not count its clients");
        Ok(Self {
            bytes: process::resident_bytes().unwrap_or_default() as f64,
            processor_s: process::processor_time().unwrap_or_default().as_secs_f64(),
            commands: Commands::read(&server.info("commandstats").await?),
            connections: connected.ok_or_else(missing)?.parse()?,
        })
    }
}
