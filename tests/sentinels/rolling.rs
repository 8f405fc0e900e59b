//! Sentinels behind one address that are restarted onto other addresses, one after another, as in a
//! rolling update; with failovers in between.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use leasehold::Locker;
use leasehold_testkit::{MovingCluster, SentinelCluster};
use leasehold_tests::{
    blocking, connect, connections_named, eventually, fail_over, lease, sentinels_env, soon,
};

const OURS: &str = "rolling-test";
const OPTIONS: [(&str, &str); 2] = [("LOCK_SAFETY", "relaxed"), ("REDIS_CLIENT_NAME", OURS)];
/// Gaps in the grants that are shown.
const NOTABLE: Duration = Duration::from_millis(500);
/// A gap may last this much longer than the Sentinels need to name another master.
const LONGEST_GAP: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn ten_rolling_restarts_behind_one_address() {
    roll(10, 5).await;
}

/// The same, two hundred times: `cargo test -p leasehold-tests --test sentinels -- --ignored two_hundred --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes ten minutes"]
async fn two_hundred_rolling_restarts_behind_one_address() {
    roll(200, 10).await;
}

type Span = (Instant, Instant);

fn length((from, to): Span) -> Duration {
    to.saturating_duration_since(from)
}

fn common((from, to): Span, (other_from, other_to): Span) -> Duration {
    length((from.max(other_from), to.min(other_to)))
}

/// What must not grow.
struct Sizes {
    /// From this locker to the Sentinels, and to the data nodes.
    links: (usize, usize),
    resident_kib: u64,
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sentinels, nodes) = self.links;
        write!(
            f,
            "{sentinels} links to Sentinels, {nodes} to data nodes, {} KiB resident",
            self.resident_kib
        )
    }
}

impl Sizes {
    fn of(cluster: &SentinelCluster) -> Self {
        let sentinels = cluster.sentinels().iter();
        let nodes = cluster.nodes().iter();
        Self {
            links: (
                sentinels
                    .map(|server| connections_named(server, OURS))
                    .sum(),
                nodes.map(|server| connections_named(server, OURS)).sum(),
            ),
            resident_kib: resident_kib(),
        }
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
    number.unwrap_or_default()
}

/// Restarts the Sentinels onto other ports, `count` times in all, with a failover after every
/// `failover_each` of them, while leases are granted and released.
async fn roll(count: usize, failover_each: usize) {
    let builder = SentinelCluster::builder().down_after(Duration::from_secs(5));
    let moving = blocking(|| MovingCluster::start(builder)).expect("a cluster");
    let service = [moving.service_address()];
    let locker = connect(sentinels_env(&service), &OPTIONS)
        .await
        .expect("connect");
    let began = Instant::now();
    let ended = Arc::new(AtomicBool::new(false));
    let granting = tokio::spawn(grant_until(locker.clone(), ended.clone()));
    let mut sizes = Vec::new();
    let mut failovers = Vec::new();
    for number in 1..=count {
        blocking(|| moving.move_sentinel(number % 3)).expect("a move");
        blocking(|| moving.cluster().wait_until_stable()).expect("a stable cluster");
        a_majority_is_asked(&moving).await;
        // Once each Sentinel has moved, halfway, and at the end.
        if [3, count / 2, count].contains(&number) {
            sizes.push(blocking(|| Sizes::of(moving.cluster())));
            println!("after {number} restarts: {}", sizes[sizes.len() - 1]);
        }
        if number % failover_each == 0 {
            let asked = Instant::now();
            let _ = fail_over(moving.cluster());
            failovers.push((asked, Instant::now()));
            blocking(|| moving.cluster().wait_until_stable()).expect("a stable cluster");
        }
    }
    ended.store(true, Ordering::Relaxed);
    let gaps = soon("the last grant", granting).await.expect("the task");
    assert_gaps_are_explained(began, &gaps, &failovers);
    let [first, .., last] = &sizes[..] else {
        panic!("no sizes")
    };
    assert!(
        last.links.0 <= 4 && last.links.1 <= first.links.1 + 1,
        "{last}"
    );
    let last_lease = lease(&locker, "last").await;
    last_lease.release().await.expect("a release");
}

/// A time without a grant, and what was said in it last.
struct Gap {
    span: Span,
    refusal: String,
}

/// Prints the notable gaps, and how long of each the Sentinels looked for another master.
fn assert_gaps_are_explained(began: Instant, gaps: &[Gap], failovers: &[Span]) {
    for Gap { span, refusal } in gaps {
        let election = failovers.iter().map(|&failover| common(*span, failover));
        let election: Duration = election.sum();
        println!(
            "after {:.0?} a gap of {:.1?}, {election:.1?} of it in a failover: {refusal}",
            length((began, span.0)),
            length(*span)
        );
        let unexplained = length(*span).saturating_sub(election);
        assert!(
            unexplained <= LONGEST_GAP,
            "{unexplained:?} without a grant"
        );
    }
    println!("{} failovers, {} gaps", failovers.len(), gaps.len());
}

/// Grants and releases without a pause, and returns the notable times between two grants.
async fn grant_until(locker: Locker, ended: Arc<AtomicBool>) -> Vec<Gap> {
    let (mut gaps, mut before) = (Vec::new(), Instant::now());
    let mut refusal = String::new();
    let mut note = |before: Instant, refusal: &mut String| {
        let span = (before, Instant::now());
        let refusal = std::mem::take(refusal);
        if length(span) >= NOTABLE {
            gaps.push(Gap { span, refusal });
        }
        span.1
    };
    while !ended.load(Ordering::Relaxed) {
        match locker.try_acquire("report").await {
            Ok(held) => {
                before = note(before, &mut refusal);
                held.release().await.ok();
            }
            Err(error) => refusal = error.to_string(),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    note(before, &mut refusal);
    gaps
}

/// The links lead to where the Sentinels are now, and there are no more of them than that.
async fn a_majority_is_asked(moving: &MovingCluster) {
    let links = || -> Vec<usize> {
        let sentinels = moving.cluster().sentinels().iter();
        sentinels
            .map(|sentinel| connections_named(sentinel, OURS))
            .collect()
    };
    eventually("two of three Sentinels to be asked", async || {
        blocking(links).iter().filter(|links| **links > 0).count() >= 2
    })
    .await;
    // One through the common address, which may be one that was found as well.
    eventually("superfluous links to be closed", async || {
        blocking(links).iter().sum::<usize>() <= 4
    })
    .await;
}
