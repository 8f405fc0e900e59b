//! One limit shared with the clients that others use: Atlan's Application SDK, redis-py's `Lock` and
//! redlock-py, each run as it is.
//!
//! Every holder of either kind tells a witness (a counter in the same Redis, not the lock) when it
//! believes to hold and when it is about to let go. More holders than the limit at any moment is a
//! broken lock.
//!
//! The clients need Python 3.11 and the packages of `python/requirements.txt`; where they are missing
//! these tests say so and pass. `cargo xtask interop` gets them and makes the long run.

mod foreign;
mod ours;
mod witness;

use std::time::Duration;

use leasehold_testkit::RedisServer;
use serde_json::{Value, json};

use self::foreign::{Foreign, Library};
use self::witness::{Tally, Witness};

const PASSWORD: &str = "interop";

/// Grants of both kinds together in the long run.
const GRANTS: u32 = 2_000;

#[derive(Clone, Copy)]
struct Plan {
    library: Library,
    /// Workers of each kind.
    workers: usize,
    /// How many may hold at a time.
    limit: usize,
    /// The run ends when each kind had half of these, and not before.
    grants: u32,
    /// Whether our workers use the same name; a control does not, and must be found out.
    shares: bool,
}

struct Outcome {
    tally: Tally,
    versions: String,
    seconds: f64,
}

/// `None` if the library is not there.
async fn run(plan: Plan) -> Option<Outcome> {
    let versions = match foreign::versions(plan.library) {
        Ok(versions) => versions,
        Err(reason) => {
            eprintln!("SKIPPED: {} is not tested here: {reason}", plan.library);
            return None;
        }
    };
    let server = RedisServer::builder().password(PASSWORD).start();
    let server = server.expect("a server");
    let witness = Witness::connect(server.port(), PASSWORD).await;
    let foreign: Vec<Foreign> = (0..plan.workers)
        .map(|_| Foreign::start(plan.library, plan.limit, server.port(), PASSWORD))
        .collect();
    let name = if plan.shares {
        foreign::NAME
    } else {
        "another"
    };
    let mut ours = Vec::new();
    for _ in 0..plan.workers {
        ours.push(ours::start(&server, &witness, name, plan.limit).await);
    }
    // Python takes seconds to import; the clock starts when both kinds are at it.
    witness.both_at_work().await;
    let started = std::time::Instant::now();
    witness.until_each_had(plan.grants / 2).await;
    let seconds = started.elapsed().as_secs_f64();
    witness.finish().await;
    for worker in ours {
        worker.await.expect("one of our workers");
    }
    for worker in foreign {
        worker.join().await;
    }
    Some(Outcome {
        tally: witness.tally().await,
        versions,
        seconds,
    })
}

impl Outcome {
    fn check(&self, plan: Plan) {
        let tally = &self.tally;
        let most = u32::try_from(plan.limit).expect("a small limit");
        assert!(tally.most <= most, "{} held at once", tally.most);
        assert_eq!(tally.most_in_a_slot, 1, "a slot was held twice");
        assert_eq!(tally.holders, 0, "a holder never left");
        assert!(tally.foreign >= plan.grants / 2 && tally.ours >= plan.grants / 2);
        // Without these the two kinds may only have taken turns at large.
        assert!(tally.changes > plan.grants / 50, "no lock changed sides");
        if plan.limit > 1 {
            assert!(tally.mixed > plan.grants / 50, "never held side by side");
            assert_eq!(tally.most, most, "the limit was never reached");
        }
    }

    fn json(&self, plan: Plan) -> Value {
        json!({
            "library": plan.library.to_string(),
            "versions": self.versions,
            "workers_of_each_kind": plan.workers,
            "limit": plan.limit,
            "seconds": (self.seconds * 10.0).round() / 10.0,
            "grants": self.tally.foreign + self.tally.ours,
            "grants_foreign": self.tally.foreign,
            "grants_ours": self.tally.ours,
            "most_holders_at_once": self.tally.most,
            "most_holders_of_one_slot": self.tally.most_in_a_slot,
            "grants_beside_the_other_kind": self.tally.mixed,
            "locks_that_changed_sides": self.tally.changes,
        })
    }
}

async fn holds_for(plan: Plan) -> Option<Value> {
    let outcome = tokio::time::timeout(Duration::from_secs(300), run(plan)).await;
    let outcome = outcome.expect("enough grants within five minutes")?;
    let json = outcome.json(plan);
    println!("{json:#}");
    outcome.check(plan);
    Some(json)
}

const SHORT: Plan = Plan {
    library: Library::Atlan,
    workers: 2,
    limit: 3,
    grants: 120,
    shares: true,
};

#[tokio::test(flavor = "multi_thread")]
async fn slots_are_shared_with_atlans_sdk() {
    // With as many workers as slots nobody would have to wait.
    holds_for(Plan {
        workers: 3,
        ..SHORT
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_shared_with_redis_py() {
    let library = Library::RedisPy;
    holds_for(Plan {
        library,
        limit: 1,
        ..SHORT
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_shared_with_redlock_py() {
    let library = Library::RedlockPy;
    holds_for(Plan {
        library,
        limit: 1,
        ..SHORT
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_witness_finds_out_workers_that_do_not_share() {
    let library = Library::RedisPy;
    let control = Plan {
        library,
        limit: 1,
        shares: false,
        ..SHORT
    };
    let Some(outcome) = run(control).await else {
        return;
    };
    assert!(outcome.tally.most > 1, "the witness saw nothing");
    assert!(outcome.tally.most_in_a_slot > 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes two minutes and needs Python packages: cargo xtask interop"]
async fn eight_workers_of_each_kind_share_three_slots() {
    let long = Plan {
        workers: 8,
        grants: GRANTS,
        ..SHORT
    };
    let single = |library| Plan {
        library,
        limit: 1,
        grants: GRANTS / 4,
        ..long
    };
    let mut runs = Vec::new();
    for plan in [long, single(Library::RedisPy), single(Library::RedlockPy)] {
        let run = holds_for(plan).await;
        runs.push(run.expect("the library, which this run is about"));
    }
    if let Some(path) = std::env::var_os("LEASEHOLD_INTEROP_OUT") {
        let text = format!("{:#}\n", json!({ "runs": runs }));
        std::fs::write(path, text).expect("the results are written");
    }
}
