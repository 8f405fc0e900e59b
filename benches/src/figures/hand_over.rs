//! How long a lock lies idle between two holders, and how many commands a grant costs.
//!
//! Every contender takes the lock, holds it for a moment and releases it, again and again; it asks
//! again only once somebody else holds it. The latency is the time from just before the release is
//! sent until the next holder has a full lease. Its measure is a PING that was sent after a pause as
//! long as a lock is held: both meet a machine at rest. PINGs sent back to back never do, and are
//! several times as fast; the ratio to them stands beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{try_join, try_join_all};
use leasehold::Locker;
use leasehold_testkit::RedisServer;
use redis::aio::MultiplexedConnection;
use rslock::LockManager;
use tokio::sync::watch;

use super::Effort;
use crate::controls::plain::{Plain, Wake};
use crate::controls::{bare, ping, rslock as redlock};
use crate::report::{Figure, Target};
use crate::rounds::Rounds;
use crate::samples::Samples;
use crate::server_stats::Commands;
use crate::spread::Spread;
use crate::{Result, ours};

const WAITERS: [usize; 3] = [1, 16, 128];
/// Long enough for the others to have asked and to wait.
const HOLD: Duration = Duration::from_millis(1);

/// The ways to hand a lock over, ours first.
const KINDS: [Kind; 4] = [
    Kind::Ours,
    Kind::Plain(Wake::Publish),
    Kind::Plain(Wake::Tracking),
    Kind::Redlock,
];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ours,
    Plain(Wake),
    Redlock,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Plain(Wake::Publish) => "publish wakes all",
            Self::Plain(Wake::Tracking) => "tracking wakes all",
            Self::Redlock => "rslock polls",
        }
    }

    /// The commands that clients sent, without those that scripts ran.
    fn sent(self, commands: &Commands) -> u64 {
        let scripts = commands.calls("evalsha") + commands.calls("eval");
        match self {
            Self::Ours => scripts + commands.calls("mget") + commands.calls("client|caching"),
            Self::Plain(_) | Self::Redlock => scripts + commands.calls("set"),
        }
    }
}

/// One client of one kind, with a connection of its own.
pub(super) enum Client {
    Ours(Locker),
    Plain(Plain),
    Redlock(LockManager),
}

/// What one slice measured.
pub(super) struct Slice {
    pub(super) latency: Samples,
    pub(super) sent: f64,
    run: f64,
}

/// The p50 of each round, µs.
#[derive(Default)]
struct Pings {
    at_rest: Vec<f64>,
    back_to_back: Vec<f64>,
}

impl Pings {
    async fn measure(&mut self, connection: &MultiplexedConnection, slice: Duration) -> Result<()> {
        let back_to_back = ping::ping(connection, slice).await?;
        let at_rest = ping::ping_at_rest(connection, HOLD, slice).await?;
        self.back_to_back.push(back_to_back.quantile_us(0.5));
        self.at_rest.push(at_rest.quantile_us(0.5));
        Ok(())
    }
}

pub(super) async fn measure(effort: Effort) -> Result<Figure> {
    let server = RedisServer::start()?;
    let connection = bare::connect(&server).await?;
    let rounds = effort.rounds();
    let mut figure = Figure::new(
        "hand-over",
        "how long from a release to the next holder, and at how many commands?",
    );
    let mut sent_alone = Vec::new();
    for waiters in WAITERS {
        let mut contenders = Vec::new();
        for kind in KINDS {
            contenders.push(clients(kind, &server, waiters + 1).await?);
        }
        let mut pings = Pings::default();
        let mut slices: [Vec<Slice>; KINDS.len()] = Default::default();
        for round in 0..rounds.count {
            pings.measure(&connection, rounds.slice / 4).await?;
            for turn in Rounds::turns(round, KINDS.len()) {
                let slice = run(KINDS[turn], &contenders[turn], &server, rounds.slice).await?;
                slices[turn].push(slice);
            }
        }
        let case = match waiters {
            1 => "1 waiter".to_owned(),
            _ => format!("{waiters} waiters"),
        };
        for (kind, slices) in KINDS.into_iter().zip(&slices) {
            latency(&mut figure, &case, kind, slices, &pings);
        }
        for (kind, slices) in KINDS.into_iter().zip(&slices) {
            let sent: Vec<f64> = slices.iter().map(|slice| slice.sent).collect();
            let run = Spread::of(slices.iter().map(|slice| slice.run));
            let name = kind.name();
            figure.add(
                &case,
                &format!("{name}, commands sent per grant"),
                "",
                Spread::of(sent.clone()),
            );
            figure.add(
                &case,
                &format!("{name}, those in scripts included"),
                "",
                run,
            );
            if kind == Kind::Ours && waiters == 1 {
                sent_alone = sent;
            } else if kind == Kind::Ours {
                let ratio = Spread::of_ratios(&sent, &sent_alone);
                let measure = "ours, commands per grant / with 1 waiter";
                figure.aim(&case, measure, "", ratio, Target::AtMost(1.5));
            }
        }
        figure.add(&case, "PING, p50", "µs", Spread::of(pings.at_rest));
        let back_to_back = Spread::of(pings.back_to_back);
        figure.add(&case, "PING back to back, p50", "µs", back_to_back);
    }
    Ok(figure)
}

fn latency(figure: &mut Figure, case: &str, kind: Kind, slices: &[Slice], pings: &Pings) {
    let in_pings = |share: f64, pings: &[f64]| {
        let slices = slices.iter().zip(pings);
        Spread::of(slices.map(|(slice, ping)| slice.latency.quantile_us(share) / ping))
    };
    let measure = format!("{}, p50 in PINGs back to back", kind.name());
    figure.add(case, &measure, "", in_pings(0.5, &pings.back_to_back));
    for (quantile, share, bound) in [("p50", 0.5, 4.0), ("p99", 0.99, 15.0)] {
        let in_pings = in_pings(share, &pings.at_rest);
        let measure = format!("{}, {quantile} in PINGs", kind.name());
        if kind == Kind::Ours {
            figure.aim(case, &measure, "", in_pings, Target::AtMost(bound));
        } else {
            figure.add(case, &measure, "", in_pings);
        }
    }
}

async fn clients(kind: Kind, server: &RedisServer, count: usize) -> Result<Arc<Vec<Client>>> {
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        clients.push(match kind {
            Kind::Ours => Client::Ours(ours::standalone(server, &[]).await?),
            Kind::Plain(wake) => {
                Client::Plain(Plain::connect(server, &resource(kind), wake).await?)
            }
            Kind::Redlock => Client::Redlock(redlock::manager(server)),
        });
    }
    Ok(Arc::new(clients))
}

fn resource(kind: Kind) -> String {
    format!("bench:{}", kind.name().replace(' ', "-"))
}

/// Who holds the lock, as all contenders of a slice see it.
struct Shared {
    resource: String,
    began: Instant,
    /// From when on latencies count: all contenders have asked.
    counts_from: Instant,
    /// Until when they count, and nobody asks again. Those who wait are served and not counted.
    ends: Instant,
    /// When the last release was about to be sent, in ns since `began`.
    released: AtomicU64,
    /// Counts the grants.
    grants: watch::Sender<u64>,
}

pub(super) async fn run(
    kind: Kind,
    clients: &Arc<Vec<Client>>,
    server: &RedisServer,
    length: Duration,
) -> Result<Slice> {
    let began = Instant::now();
    let shared = Arc::new(Shared {
        resource: resource(kind),
        began,
        counts_from: began + length / 5,
        ends: began + length + length / 5,
        released: AtomicU64::new(0),
        grants: watch::Sender::new(0),
    });
    let contending = (0..clients.len()).map(|number| {
        let (shared, clients) = (shared.clone(), clients.clone());
        async move { tokio::spawn(async move { contend(&shared, &clients[number]).await }).await? }
    });
    let counting = async {
        tokio::time::sleep_until(shared.counts_from.into()).await;
        let before = (Commands::so_far(server)?, *shared.grants.borrow());
        tokio::time::sleep_until(shared.ends.into()).await;
        let commands = Commands::so_far(server)?.since(&before.0);
        Ok((commands, (*shared.grants.borrow() - before.1) as f64))
    };
    let (latencies, (commands, grants)) = try_join(try_join_all(contending), counting).await?;
    Ok(Slice {
        latency: Samples::new(latencies.into_iter().flatten(), length),
        sent: kind.sent(&commands) as f64 / grants,
        run: commands.total() as f64 / grants,
    })
}

async fn contend(shared: &Shared, client: &Client) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    while Instant::now() < shared.ends {
        let held = client.acquire(&shared.resource).await?;
        let granted = Instant::now();
        let latency = elapsed_ns(shared.began) - shared.released.load(Ordering::Acquire);
        if shared.counts_from <= granted && granted < shared.ends {
            latencies.push(Duration::from_nanos(latency));
        }
        shared.grants.send_modify(|grants| *grants += 1);
        let mut grants = shared.grants.subscribe();
        let mine = *grants.borrow_and_update();
        if granted < shared.ends {
            tokio::time::sleep(HOLD).await;
        }
        shared
            .released
            .store(elapsed_ns(shared.began), Ordering::Release);
        held.release().await?;
        // Whoever asks again at once would overtake those who pause between attempts.
        let next = grants.wait_for(|grants| *grants > mine);
        let _ = tokio::time::timeout_at(shared.ends.into(), next).await;
    }
    Ok(latencies)
}

enum Held<'a> {
    Ours(leasehold::Lease),
    Plain(&'a Plain, String),
    Redlock(rslock::LockGuard),
}

impl Client {
    async fn acquire(&self, resource: &str) -> Result<Held<'_>> {
        Ok(match self {
            Self::Ours(locker) => Held::Ours(locker.acquire(resource).await?),
            Self::Plain(plain) => Held::Plain(plain, plain.acquire().await?),
            Self::Redlock(manager) => Held::Redlock(redlock::acquire(manager, resource).await?),
        })
    }
}

impl Held<'_> {
    async fn release(self) -> Result<()> {
        match self {
            Self::Ours(lease) => {
                lease.release().await?;
            }
            Self::Plain(plain, token) => plain.release(&token).await?,
            Self::Redlock(guard) => guard.release().await,
        }
        Ok(())
    }
}

fn elapsed_ns(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
