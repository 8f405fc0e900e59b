//! What a refused or hung member costs in quorum mode.

use std::time::{Duration, Instant};

use leasehold::Locker;
use leasehold_testkit::{Mode, Proxy, RedisServer};
use rslock::LockManager;
use tokio::time::timeout;

use super::Effort;
use crate::report::{Figure, Target};
use crate::samples::Samples;
use crate::spread::Spread;
use crate::{Error, Result, ours};

const MEMBERS: usize = 5;
const RESOURCE: &str = "bench:quorum";
/// One acquisition of the control may take this long before it is counted as such and given up.
const CONTROL_PATIENCE: Duration = Duration::from_secs(5);

/// What one round measured.
struct Round {
    all_up: Samples,
    one_refused: Samples,
    one_hung: Samples,
    two_hung: Samples,
    control_all_up: Samples,
    control_one_hung: Samples,
}

struct Members {
    servers: Vec<RedisServer>,
    /// In front of the first member, to refuse connections.
    door: Proxy,
}

pub(super) async fn measure(effort: Effort) -> Result<Figure> {
    let members = tokio::task::block_in_place(Members::start)?;
    let locker = ours::quorum(&members.urls()).await?;
    let control = LockManager::new(members.urls());
    members.all_vote(&locker).await?;
    let rounds = effort.rounds();
    let mut measured = Vec::new();
    for number in 0..=rounds.count {
        let round = members.round(&locker, &control, rounds.slice).await?;
        // The first round warms up.
        if number > 0 {
            measured.push(round);
        }
    }
    Ok(report(&measured))
}

impl Members {
    fn start() -> Result<Self> {
        let servers = (0..MEMBERS)
            .map(|_| RedisServer::start())
            .collect::<std::result::Result<Vec<_>, _>>()?;
        let door = Proxy::start(servers[0].address())?;
        Ok(Self { servers, door })
    }

    fn urls(&self) -> Vec<String> {
        let door = format!("redis://{}", self.door.address());
        let others = self.servers.iter().skip(1).map(|server| server.url());
        std::iter::once(door).chain(others).collect()
    }

    async fn round(
        &self,
        locker: &Locker,
        control: &LockManager,
        slice: Duration,
    ) -> Result<Round> {
        let all_up = run(locker, slice).await?;
        let control_all_up = run_control(control, slice).await;
        self.door.set_mode(Mode::Refuse)?;
        self.door.cut();
        let one_refused = run(locker, slice).await?;
        self.door.set_mode(Mode::Pass)?;
        self.all_vote(locker).await?;
        self.servers[MEMBERS - 1].pause()?;
        let one_hung = run(locker, slice).await?;
        let control_one_hung = run_control(control, slice).await;
        self.servers[MEMBERS - 2].pause()?;
        let two_hung = run(locker, slice).await?;
        self.servers[MEMBERS - 1].resume()?;
        self.servers[MEMBERS - 2].resume()?;
        self.all_vote(locker).await?;
        Ok(Round {
            all_up,
            one_refused,
            one_hung,
            two_hung,
            control_all_up,
            control_one_hung,
        })
    }

    /// Waits until every member takes part again.
    async fn all_vote(&self, locker: &Locker) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until {
            let lease = locker.acquire("bench:all").await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
            let voting = tokio::task::block_in_place(|| {
                let has_it = |server: &&RedisServer| {
                    server
                        .cli(&["EXISTS", "bench:all"])
                        .is_ok_and(|count| count.trim() == "1")
                };
                self.servers.iter().filter(has_it).count()
            });
            lease.release().await?;
            if voting == MEMBERS {
                return Ok(());
            }
        }
        Err(Error::from("not all members came back".to_owned()))
    }
}

async fn run(locker: &Locker, slice: Duration) -> Result<Samples> {
    let began = Instant::now();
    let mut took = Vec::new();
    while began.elapsed() < slice {
        let asked = Instant::now();
        let lease = locker.acquire(RESOURCE).await?;
        took.push(asked.elapsed());
        lease.release().await?;
    }
    Ok(Samples::new(took, began.elapsed()))
}

async fn run_control(control: &LockManager, slice: Duration) -> Samples {
    let began = Instant::now();
    let mut took = Vec::new();
    while began.elapsed() < slice {
        let asked = Instant::now();
        let acquiring = control.acquire("bench:control", Duration::from_secs(10));
        let guard = timeout(CONTROL_PATIENCE, acquiring).await;
        took.push(asked.elapsed());
        if let Ok(Ok(guard)) = guard {
            let _ = timeout(CONTROL_PATIENCE, control.unlock(&guard.lock)).await;
        }
    }
    Samples::new(took, began.elapsed())
}

fn report(rounds: &[Round]) -> Figure {
    let mut figure = Figure::new("quorum", "what does a refused or hung member cost?");
    let p50 = |samples: &Samples| samples.quantile_us(0.5);
    let spread = |what: &dyn Fn(&Round) -> f64| Spread::of(rounds.iter().map(what));
    let ratio = "acquire p50, as a multiple of that with all up";
    for (case, one) in [
        (
            "1 of 5 refused",
            (|round| &round.one_refused) as fn(&Round) -> &Samples,
        ),
        ("1 of 5 hung", |round| &round.one_hung),
        ("2 of 5 hung", |round| &round.two_hung),
    ] {
        let value = spread(&|round| p50(one(round)) / p50(&round.all_up));
        figure.aim(case, ratio, "", value, Target::AtMost(1.2));
    }
    figure.add(
        "1 of 5 hung",
        "the same of rslock",
        "",
        spread(&|round| p50(&round.control_one_hung) / p50(&round.control_all_up)),
    );
    figure.add(
        "all up",
        "acquire p50",
        "µs",
        spread(&|round| p50(&round.all_up)),
    );
    figure.add(
        "all up",
        "acquire p50 of rslock",
        "µs",
        spread(&|round| p50(&round.control_all_up)),
    );
    figure
}
