//! Strict mode without one of the conditions of a take-over ends up with two holders, and with all of them it does not.
//!
//! Built with the feature `broken` alone: `cargo test -p leasehold-tests --features broken --test controls`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use leasehold::broken::{Condition, leave_out};
use leasehold::{AcquireOptions, Error, Lease, Locker, Renewal};
use leasehold_testkit::{RedisServer, RedisServerBuilder, SentinelCluster};
use leasehold_tests::{all_up_for, blocking, eventually, lease, patient, soon, strict};
use tokio::runtime::Runtime;

const NAME: &str = "wanted";
/// Outlasts a failover, and a replica that the Sentinels lead back.
const LONGEST: Duration = Duration::from_secs(40);

/// One at a time: what is left out is left out in the whole process.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What came of an attempt at a lock that is held.
#[derive(Debug)]
enum Verdict {
    TwoHolders,
    Refused { reason: String },
}

/// A holder that stands still from its grant on: it is told of nothing, and writes nothing again on a new master. Until
/// its deadline nobody else may be granted the lock.
struct Still {
    deadline: Instant,
    _lease: Lease,
    /// Nothing drives it.
    runtime: Option<Runtime>,
}

impl Drop for Still {
    fn drop(&mut self) {
        // It may not be waited for here.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Scene {
    cluster: SentinelCluster,
    other: Locker,
}

impl Scene {
    async fn start(node: RedisServerBuilder) -> Self {
        let cluster = patient().node(node).start().expect("a cluster");
        let other = strict(&cluster, LONGEST).await;
        // In two parts, each of which may be waited for.
        for least in [LONGEST / 2, LONGEST] {
            all_up_for(cluster.nodes(), least).await;
        }
        Self { cluster, other }
    }

    /// Everything has reached both replicas.
    async fn in_step(&self) {
        let held = lease(&self.other, "in-step").await;
        held.release().await.expect("a release");
        let within = Duration::from_secs(10);
        blocking(|| self.cluster.node(0).wait_for_replicas(2, within)).expect("in step");
    }

    /// Nothing reaches this replica any more until it goes on.
    fn leave_behind(&self, replica: usize) {
        blocking(|| {
            self.cluster.node(replica).pause().expect("SIGSTOP");
            let kill = ["CLIENT", "KILL", "TYPE", "replica"];
            self.cluster.node(0).command(&kill).expect("CLIENT KILL");
        });
    }

    /// A lease that is confirmed, and that nobody prolongs.
    fn hold(&self) -> Still {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let options = AcquireOptions::new().renewal(Renewal::Off);
        let granted = runtime.block_on(async {
            let one = strict(&self.cluster, LONGEST).await;
            soon("a lease", one.acquire(NAME).options(&options)).await
        });
        let lease = granted.expect("a lease");
        Still {
            deadline: lease.deadline(),
            _lease: lease,
            runtime: Some(runtime),
        }
    }

    /// The master dies, and this replica becomes the next.
    async fn promote(&self, replica: usize) {
        blocking(|| {
            self.cluster.node(0).kill();
            self.cluster.node(replica).resume().expect("SIGCONT");
        });
        let port = self.cluster.node(replica).port().to_string();
        let is_fit = |seen: &BTreeMap<String, String>| {
            let answered = seen["last-ok-ping-reply"].parse();
            seen["port"] == port
                && seen["flags"] == "slave"
                && answered.is_ok_and(|ms: u64| ms < 1_000)
        };
        self.sentinels_see("the one that stayed behind to be fit", is_fit)
            .await;
        eventually("the promotion of the one that stayed behind", async || {
            blocking(|| {
                let _ = self.cluster.failover();
                self.cluster
                    .master_index()
                    .is_ok_and(|index| index == replica)
            })
        })
        .await;
    }

    /// Every Sentinel sees a replica like this.
    async fn sentinels_see(&self, what: &str, is_it: impl Fn(&BTreeMap<String, String>) -> bool) {
        eventually(what, async || {
            self.cluster.sentinels().iter().all(|sentinel| {
                blocking(|| sentinel.replicas()).is_ok_and(|seen| seen.iter().any(&is_it))
            })
        })
        .await;
    }

    /// Another client asks for what the holder has.
    async fn verdict(&self, holder: &Still, master: usize) -> Verdict {
        let mut last = String::new();
        let judged = tokio::time::timeout(Duration::from_secs(30), async {
            loop {
                match self.other.try_acquire(NAME).await {
                    Ok(_) => {
                        assert!(Instant::now() < holder.deadline, "the lease had run out");
                        return Verdict::TwoHolders;
                    }
                    Err(Error::GateClosed(closed)) if closed.remaining.is_some() => {
                        let ask = ["HGET", "leasehold:gate", "reason"];
                        let reason = blocking(|| self.cluster.node(master).cli(&ask));
                        let reason = reason.expect("HGET").trim().to_owned();
                        return Verdict::Refused { reason };
                    }
                    Err(other) => last = other.to_string(),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let judged = judged.await;
        judged.unwrap_or_else(|_| panic!("neither granted nor refused for its time: {last}"))
    }
}

/// A replica that never heard of a confirmed lease is preferred to the one that confirmed it, which then is synchronised
/// fully and forgets it.
async fn promoted_by_priority() -> Verdict {
    let scene = Scene::start(RedisServer::builder().append_only(true)).await;
    let preferred = ["CONFIG", "SET", "replica-priority", "1"];
    blocking(|| scene.cluster.node(2).command(&preferred)).expect("CONFIG SET");
    let is_preferred = |seen: &BTreeMap<String, String>| seen["slave-priority"] == "1";
    scene
        .sentinels_see("the priority to be seen", is_preferred)
        .await;
    scene.in_step().await;
    scene.leave_behind(2);
    let holder = blocking(|| scene.hold());
    scene.promote(2).await;
    scene.verdict(&holder, 2).await
}

/// The replica that confirmed a lease comes back with a snapshot from before it, and follows the one that never heard of
/// the lease, which is no longer behind it.
async fn restarted_with_a_snapshot() -> Verdict {
    let scene = Scene::start(RedisServer::builder().persistence(true)).await;
    scene.in_step().await;
    blocking(|| scene.cluster.node(2).command(&["SAVE"])).expect("SAVE");
    scene.in_step().await;
    scene.leave_behind(1);
    let holder = blocking(|| scene.hold());
    scene.cluster.node(2).kill();
    scene.promote(1).await;
    let (follower, master) = (scene.cluster.node(2), scene.cluster.node(1));
    let port = master.port().to_string();
    blocking(|| {
        follower.restart().expect("a restart");
        follower.command(&["REPLICAOF", master.host(), &port])
    })
    .expect("REPLICAOF");
    scene.verdict(&holder, 1).await
}

/// Without the condition there are two holders; with all of them the second is refused, for this reason.
async fn convicts(condition: Condition, attempt: impl AsyncFn() -> Verdict, expected: &str) {
    let _turn = TURN.lock().await;
    {
        let _left_out = leave_out(condition);
        let verdict = attempt().await;
        assert!(matches!(verdict, Verdict::TwoHolders), "{verdict:?}");
    }
    match attempt().await {
        Verdict::Refused { reason } => assert!(reason.contains(expected), "{reason}"),
        Verdict::TwoHolders => panic!("two holders with all conditions"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_same_history_there_are_two_holders() {
    convicts(
        Condition::SameHistory,
        promoted_by_priority,
        "synchronised fully",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_time_that_replicas_are_up_there_are_two_holders() {
    convicts(Condition::Uptime, restarted_with_a_snapshot, "is up for").await;
}
