//! What a master took away stays taken, though the next master has not heard of it: leases that were handed
//! over, released by force, or released and granted anew.

use std::time::Duration;

use leasehold::{AcquireOptions, Error, Lease, Locker, LostReason, Renewal};
use leasehold_testkit::{RedisServer, SentinelCluster};
use leasehold_tests::{
    blocking, connect, eventually, fail_over, lease, opened, patient, sentinel_env, soon,
};

const NAME: &str = "wanted";

/// Outlasts a failover.
const LONG: &str = "20s";

/// Replica 2 stays behind: it is frozen, and its connection to the master is closed, so that what comes next
/// never reaches it.
struct Behind {
    cluster: SentinelCluster,
    one: Locker,
    other: Locker,
}

impl Behind {
    async fn start() -> Self {
        let node = RedisServer::builder().append_only(true);
        let cluster = patient().node(node).start().expect("a cluster");
        let one = strict(&cluster).await;
        let other = strict(&cluster).await;
        eventually("the gate has a time", async || {
            let time = blocking(|| {
                cluster
                    .node(0)
                    .cli(&["HGET", "leasehold:gate", "open_from"])
            });
            time.is_ok_and(|time| !time.trim().is_empty())
        })
        .await;
        let open = ["HSET", "leasehold:gate", "open_from", "1"];
        blocking(|| cluster.node(0).command(&open)).expect("HSET");
        opened(&one).await;
        Self {
            cluster,
            one,
            other,
        }
    }

    fn leave_behind(&self) {
        blocking(|| {
            let master = self.cluster.node(0);
            let within = Duration::from_secs(10);
            master.wait_for_replicas(2, within).expect("in step");
            self.cluster.node(2).pause().expect("SIGSTOP");
            let kill = ["CLIENT", "KILL", "TYPE", "replica"];
            master.command(&kill).expect("CLIENT KILL");
        });
    }

    /// The master and the replica that has everything die; the one that stayed behind is promoted, and the
    /// other comes back to follow it.
    async fn fail_over(&self) {
        blocking(|| {
            self.cluster.node(0).kill();
            self.cluster.node(1).kill();
            self.cluster.node(2).resume().expect("SIGCONT");
        });
        eventually("the replica that stayed behind is promoted", async || {
            blocking(|| {
                let _ = self.cluster.failover();
                self.cluster.master_index().is_ok_and(|index| index == 2)
            })
        })
        .await;
        blocking(|| self.cluster.node(1).restart().expect("a restart"));
    }

    fn has_key_of(&self, lease: &Lease) -> bool {
        let held = blocking(|| self.cluster.node(2).cli(&["GET", NAME]));
        held.expect("GET").trim() == lease.token()
    }
}

async fn strict(cluster: &SentinelCluster) -> Locker {
    let overrides = [
        ("LOCK_SAFETY", "strict"),
        ("LOCK_TTL", LONG),
        ("LOCK_MAX_TTL", LONG),
    ];
    connect(sentinel_env(cluster), &overrides)
        .await
        .expect("connect")
}

async fn unrenewed(locker: &Locker) -> Lease {
    let options = AcquireOptions::new().renewal(Renewal::Off);
    soon("a lease", locker.acquire(NAME).options(&options))
        .await
        .expect("a lease")
}

async fn renewed(lease: &Lease) {
    soon("a confirmed renewal", async {
        while let Err(error) = lease.renew().await {
            assert!(lease.is_valid(), "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// What the holder is told once it has lost the lease. No renewal before that succeeds.
async fn lost(holder: &Lease) -> Error {
    soon("the loss", async {
        loop {
            match holder.renew().await {
                Err(error @ Error::Lost { .. }) => break error,
                Ok(()) => panic!("prolonged although it was taken away"),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_was_handed_over_stays_with_whom_it_was_handed_to() {
    let behind = Behind::start().await;
    let giver = unrenewed(&behind.one).await;
    let deadline = giver.deadline();
    behind.leave_behind();
    let holder = behind.other.adopt(&giver.ticket()).await.expect("adopted");
    assert!(holder.fence() > giver.fence());
    behind.fail_over().await;

    // The giver comes first, and keeps its key on a master that knows of no other. Its lease gains nothing.
    soon("the giver's renewal to be judged", async {
        loop {
            match giver.renew().await {
                Err(Error::GateClosed(_) | Error::Lost { .. }) => break,
                Ok(()) => panic!("the giver is prolonged while another holds"),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    })
    .await;
    let drift = Duration::from_millis(100);
    assert!(giver.deadline() <= deadline + drift);
    renewed(&holder).await;
    assert!(behind.has_key_of(&holder));
    let told = giver.renew().await.expect_err("it was handed over");
    assert!(matches!(told, Error::Lost { .. }), "{told}");
    assert!(holder.is_valid());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_was_released_by_force_does_not_oust_the_one_granted_after_it() {
    let behind = Behind::start().await;
    let former = unrenewed(&behind.one).await;
    behind.leave_behind();
    let seen = behind.other.inspect(NAME).await.expect("a look");
    let id = seen.and_then(|holder| holder.id).expect("an id");
    behind.other.force_release(NAME, &id).await.expect("taken");
    let holder = unrenewed(&behind.other).await;
    behind.fail_over().await;
    renewed(&holder).await;
    assert!(behind.has_key_of(&holder));
    let told = lost(&former).await;
    assert!(matches!(told, Error::Lost { .. }), "{told}");
    renewed(&holder).await;
    assert!(behind.has_key_of(&holder));
}

/// Behind a closed gate a holder writes its missing key again, but not one that an operator took from it.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_was_released_by_force_behind_a_closed_gate_is_not_written_again() {
    let behind = Behind::start().await;
    let former = unrenewed(&behind.one).await;
    let _ = fail_over(&behind.cluster);
    soon("the forced release", async {
        let mut is_tried = false;
        loop {
            match behind.other.inspect(NAME).await {
                Ok(Some(holder)) => {
                    is_tried = true;
                    let id = holder.id.expect("an id");
                    if behind.other.force_release(NAME, &id).await.is_ok() {
                        break;
                    }
                }
                // It was carried out, though no replica had come back yet to confirm it.
                Ok(None) if is_tried => break,
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let refused = behind.other.try_acquire(NAME).await;
    assert!(matches!(refused, Err(Error::GateClosed(_))), "{refused:?}");
    let told = lost(&former).await;
    assert!(
        behind
            .other
            .inspect(NAME)
            .await
            .is_ok_and(|holder| holder.is_none()),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_survives_a_failover_to_a_replica_that_has_the_one_before_it() {
    let behind = Behind::start().await;
    let former = unrenewed(&behind.one).await;
    behind.leave_behind();
    former.release().await.expect("a release");
    let holder = unrenewed(&behind.other).await;
    behind.fail_over().await;
    assert!(!behind.has_key_of(&holder), "it has the one before");
    renewed(&holder).await;
    assert!(behind.has_key_of(&holder));
}

/// A lease that has issued a ticket goes on over an ordinary failover: once leases are granted again, nobody
/// else can have taken it over.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_with_a_ticket_is_prolonged_once_the_new_master_grants() {
    let Behind { cluster, one, .. } = Behind::start().await;
    let held = lease(&one, NAME).await;
    let _ticket = held.ticket();
    let (_, new) = fail_over(&cluster);
    soon("a renewal behind the closed gate", async {
        loop {
            match held.renew().await {
                Err(Error::GateClosed(_)) => break,
                Ok(()) => panic!("prolonged while somebody may have taken it over"),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    })
    .await;
    let open = ["HSET", "leasehold:gate", "open_from", "1"];
    blocking(|| cluster.node(new).command(&open)).expect("HSET");
    let before = held.deadline();
    renewed(&held).await;
    assert!(held.deadline() > before);
    held.release().await.expect("a release");
}

/// An adoption that is not confirmed gives the lock back, so that the ticket is good for another attempt.
#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_outlives_an_adoption_that_was_not_confirmed() {
    let behind = Behind::start().await;
    let ticket = unrenewed(&behind.one).await.into_ticket();
    for replica in [1, 2] {
        blocking(|| behind.cluster.node(replica).pause()).expect("SIGSTOP");
    }
    let refused = behind.other.adopt(&ticket).await;
    let refused = refused.expect_err("no replica confirms it");
    assert!(matches!(refused, Error::NotReplicated { .. }), "{refused}");
    assert!(refused.is_retryable());
    for replica in [1, 2] {
        blocking(|| behind.cluster.node(replica).resume()).expect("SIGCONT");
    }
    let adopted = soon("the adoption", async {
        loop {
            match behind.other.adopt(&ticket).await {
                Ok(adopted) => break adopted,
                Err(error) => assert!(error.is_retryable(), "{error}"),
            }
        }
    })
    .await;
    adopted.release().await.expect("a release");
}

/// A lease above what the gate's record allows is refused to whoever takes it over as well.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_over_for_longer_than_the_longest_lease() {
    let behind = Behind::start().await;
    let ticket = unrenewed(&behind.one).await.into_ticket();
    let bound = ["HSET", "leasehold:gate", "longest", "5000"];
    blocking(|| behind.cluster.node(0).command(&bound)).expect("HSET");
    let refused = behind.other.adopt(&ticket).await;
    let refused = refused.expect_err("20 s are more than 5 s");
    assert!(!refused.is_retryable(), "{refused}");
    assert!(refused.to_string().contains("5s"), "{refused}");
    assert!(!matches!(
        refused,
        Error::Lost {
            reason: LostReason::Stolen { .. },
            ..
        }
    ));
}

/// The record knows of three data nodes, whatever the Sentinels remember.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_grants_nothing_after_sentinel_reset() {
    let behind = Behind::start().await;
    blocking(|| {
        for replica in [1, 2] {
            behind.cluster.node(replica).kill();
        }
        for sentinel in behind.cluster.sentinels() {
            let reset = ["SENTINEL", "RESET", behind.cluster.service()];
            sentinel.command(&reset).expect("SENTINEL RESET");
        }
    });
    let newcomer = strict(&behind.cluster).await;
    for locker in [&newcomer, &behind.one] {
        let refused = soon("a refusal for want of replicas", async {
            loop {
                match locker.try_acquire(NAME).await {
                    Err(refused @ Error::NotReplicated { .. }) => break refused,
                    Ok(_) => panic!("granted by one of three"),
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        })
        .await;
        let is_two_of_three = matches!(
            refused,
            Error::NotReplicated {
                needed: 2,
                data_nodes: 3,
                ..
            }
        );
        assert!(is_two_of_three, "{refused}");
    }
}
