//! How many round trips an acquire, a release and a hand-over take on a network that has some.
//!
//! A proxy adds a constant delay in each direction. The unit is a PING over the same proxy, measured
//! in the same round, so what the proxy adds beyond its delay is in both. A hand-over follows a pause, and
//! so does the PING that it is measured in: processors that went to sleep have to be woken for both.

use std::time::{Duration, Instant};

use leasehold::Locker;
use leasehold_testkit::{Mode, Proxy, RedisServer};
use redis::aio::MultiplexedConnection;
use rslock::LockManager;
use tokio::sync::oneshot;

use super::Effort;
use crate::controls::{bare, ping, rslock as redlock};
use crate::report::{Figure, Target};
use crate::rounds::Rounds;
use crate::samples::Samples;
use crate::spread::Spread;
use crate::{Result, ours};

/// Between machines of one zone, and of two.
const ROUND_TRIPS: [Duration; 2] = [Duration::from_micros(350), Duration::from_millis(1)];
/// The round trips of a quorum's members; a majority of them needs the third.
const MEMBERS: [Duration; 5] = [
    Duration::from_micros(200),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(4),
];
const NEEDED: usize = 2;
/// Long enough for the other to have asked and to wait.
const HOLD: Duration = Duration::from_millis(10);
const RESOURCE: &str = "bench:latency";

pub(super) async fn measure(effort: Effort) -> Result<Figure> {
    let mut figure = Figure::new(
        "latency",
        "how many round trips do an acquire, a release and a hand-over take?",
    );
    for round_trip in ROUND_TRIPS {
        one_master(&mut figure, round_trip, effort.rounds()).await?;
    }
    quorum(&mut figure, effort.rounds()).await?;
    Ok(figure)
}

/// A server behind a proxy that delays.
struct Distant {
    proxy: Proxy,
    _server: RedisServer,
}

impl Distant {
    fn start(round_trip: Duration) -> Result<Self> {
        let server = RedisServer::start()?;
        let proxy = Proxy::start(server.address())?;
        proxy.set_mode(Mode::Delay(round_trip / 2))?;
        Ok(Self {
            proxy,
            _server: server,
        })
    }

    fn url(&self) -> String {
        format!("redis://{}", self.proxy.address())
    }
}

/// What one round measured.
struct Round {
    ping: Samples,
    ping_at_rest: Samples,
    pairs: Pairs,
    control: Pairs,
    hand_over: Samples,
}

struct Pairs {
    acquire: Samples,
    release: Samples,
}

async fn one_master(figure: &mut Figure, round_trip: Duration, rounds: Rounds) -> Result<()> {
    let distant = Distant::start(round_trip)?;
    let port = distant.proxy.port();
    let (first, second) = (ours::at_port(port).await?, ours::at_port(port).await?);
    let control = LockManager::new(vec![distant.url()]);
    let connection = bare::connect_to(&distant.url()).await?;
    let mut measured = Vec::new();
    for number in 0..=rounds.count {
        let round = Round {
            ping: ping::ping(&connection, rounds.slice / 4).await?,
            ping_at_rest: ping::ping_at_rest(&connection, HOLD, rounds.slice).await?,
            pairs: pairs(&first, rounds.slice).await?,
            control: control_pairs(&control, rounds.slice / 4).await?,
            hand_over: hand_over(&first, &second, rounds.slice).await?,
        };
        // The first round warms up.
        if number > 0 {
            measured.push(round);
        }
    }
    report(
        figure,
        &format!("{} ms", round_trip.as_secs_f64() * 1e3),
        &measured,
    );
    Ok(())
}

fn report(figure: &mut Figure, added: &str, rounds: &[Round]) {
    let case = format!("{added} of round trip added");
    type Measured = fn(&Round) -> &Samples;
    let in_units = |samples: Measured, unit: Measured| {
        let p50 = |samples: &Samples| samples.quantile_us(0.5);
        Spread::of(
            rounds
                .iter()
                .map(|round| p50(samples(round)) / p50(unit(round))),
        )
    };
    let in_round_trips = |samples: Measured| in_units(samples, |round| &round.ping);
    let acquire = in_round_trips(|round| &round.pairs.acquire);
    figure.aim(
        &case,
        "acquire, p50 in round trips",
        "",
        acquire,
        Target::AtMost(1.05),
    );
    let release = in_round_trips(|round| &round.pairs.release);
    figure.aim(
        &case,
        "release, p50 in round trips",
        "",
        release,
        Target::AtMost(1.05),
    );
    let hand_over = in_units(|round| &round.hand_over, |round| &round.ping_at_rest);
    figure.aim(
        &case,
        "hand-over, p50 in round trips",
        "",
        hand_over,
        Target::AtMost(2.1),
    );
    let acquire = in_round_trips(|round| &round.control.acquire);
    figure.add(&case, "acquire of rslock, p50 in round trips", "", acquire);
    let release = in_round_trips(|round| &round.control.release);
    figure.add(&case, "release of rslock, p50 in round trips", "", release);
    let ping = Spread::of(rounds.iter().map(|round| round.ping.quantile_us(0.5)));
    figure.add(&case, "PING, p50", "µs", ping);
    let at_rest = Spread::of(
        rounds
            .iter()
            .map(|round| round.ping_at_rest.quantile_us(0.5)),
    );
    figure.add(&case, "PING after a pause, p50", "µs", at_rest);
}

async fn pairs(locker: &Locker, slice: Duration) -> Result<Pairs> {
    let began = Instant::now();
    let (mut acquires, mut releases) = (Vec::new(), Vec::new());
    while began.elapsed() < slice {
        let asked = Instant::now();
        let lease = locker.acquire(RESOURCE).await?;
        acquires.push(asked.elapsed());
        let released = Instant::now();
        lease.release().await?;
        releases.push(released.elapsed());
    }
    Ok(Pairs::new(acquires, releases, began))
}

async fn control_pairs(control: &LockManager, slice: Duration) -> Result<Pairs> {
    let began = Instant::now();
    let (mut acquires, mut releases) = (Vec::new(), Vec::new());
    while began.elapsed() < slice {
        let asked = Instant::now();
        let guard = redlock::acquire(control, "bench:control").await?;
        acquires.push(asked.elapsed());
        let released = Instant::now();
        guard.release().await;
        releases.push(released.elapsed());
    }
    Ok(Pairs::new(acquires, releases, began))
}

impl Pairs {
    fn new(acquires: Vec<Duration>, releases: Vec<Duration>, began: Instant) -> Self {
        let elapsed = began.elapsed();
        Self {
            acquire: Samples::new(acquires, elapsed),
            release: Samples::new(releases, elapsed),
        }
    }
}

/// From just before a release is sent until the one waiter has its lease.
async fn hand_over(first: &Locker, second: &Locker, slice: Duration) -> Result<Samples> {
    let began = Instant::now();
    let mut took = Vec::new();
    let mut lease = first.acquire("bench:hand-over").await?;
    let mut waiter = second;
    while began.elapsed() < slice {
        let (granted, next) = oneshot::channel();
        let asking = waiter.clone();
        tokio::spawn(async move {
            let lease = asking.acquire("bench:hand-over").await;
            let _ = granted.send((Instant::now(), lease));
        });
        tokio::time::sleep(HOLD).await;
        let released = Instant::now();
        lease.release().await?;
        let (at, next) = next.await?;
        took.push(at - released);
        lease = next?;
        waiter = if std::ptr::eq(waiter, second) {
            first
        } else {
            second
        };
    }
    lease.release().await?;
    Ok(Samples::new(took, began.elapsed()))
}

async fn quorum(figure: &mut Figure, rounds: Rounds) -> Result<()> {
    let members = MEMBERS
        .iter()
        .map(|round_trip| Distant::start(*round_trip))
        .collect::<Result<Vec<_>>>()?;
    let urls: Vec<String> = members.iter().map(Distant::url).collect();
    let locker = ours::quorum(&urls).await?;
    let needed: MultiplexedConnection = bare::connect_to(&urls[NEEDED]).await?;
    // The members' gates open once they have been up for the longest lease.
    locker.acquire(RESOURCE).await?.release().await?;
    let mut ratios = Vec::new();
    for number in 0..=rounds.count {
        let ping = ping::ping(&needed, rounds.slice / 4).await?;
        let pairs = pairs(&locker, rounds.slice).await?;
        let in_round_trips = |samples: &Samples| samples.quantile_us(0.5) / ping.quantile_us(0.5);
        if number > 0 {
            let ratio = (
                in_round_trips(&pairs.acquire),
                in_round_trips(&pairs.release),
            );
            ratios.push(ratio);
        }
    }
    let case = "quorum of 5, 0.2 to 4 ms added";
    let unit = "p50 in round trips of the third member";
    let acquire = Spread::of(ratios.iter().map(|(acquire, _)| *acquire));
    figure.aim(
        case,
        &format!("acquire, {unit}"),
        "",
        acquire,
        Target::AtMost(1.15),
    );
    let release = Spread::of(ratios.iter().map(|(_, release)| *release));
    figure.aim(
        case,
        &format!("release, {unit}"),
        "",
        release,
        Target::AtMost(1.15),
    );
    Ok(())
}
