//! Redis Cluster: each lock on the master of its hash slot, wherever that goes.

use std::time::Duration;

use leasehold::{Cause, Error, Locker, Released};
use leasehold_testkit::{RedisCluster, RedisServer};
use leasehold_tests::{connect, eventually, soon};

async fn locker(cluster: &RedisCluster) -> Locker {
    locker_with(cluster, &[]).await
}

async fn locker_with(cluster: &RedisCluster, overrides: &[(&str, &str)]) -> Locker {
    let mut variables = cluster.env();
    for (name, value) in [
        ("IS_LOCKING_DISABLED", "false"),
        ("LOCK_TTL", "5s"),
        ("REDIS_COMMAND_TIMEOUT", "500ms"),
        ("LOCK_RETRY_INTERVAL", "200ms"),
    ] {
        variables.push((name.to_owned(), value.to_owned()));
    }
    connect(variables, overrides).await.expect("connect")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_name_finds_its_master() {
    let cluster = RedisCluster::start().expect("a cluster");
    let (first, second) = (locker(&cluster).await, locker(&cluster).await);
    for name in [
        "a",
        "b",
        "c",
        "orders:{eu}:7",
        "open{brace",
        "ä{ö}",
        "x{{y}z",
        "{a}{b}",
    ] {
        let lease = first.acquire(name).await.expect(name);
        assert!(
            matches!(second.try_acquire(name).await, Err(Error::Held(_))),
            "{name}"
        );
        assert!(first.inspect(name).await.expect(name).is_some());
        assert_eq!(lease.release().await.expect(name), Released::Released);
        let next = second.try_acquire(name).await.expect(name);
        assert_eq!(next.release().await.expect(name), Released::Released);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_calls_the_waiter_of_another_process() {
    let cluster = RedisCluster::start().expect("a cluster");
    let (first, second) = (locker(&cluster).await, locker(&cluster).await);
    let lease = first.acquire("report").await.expect("a lease");
    let waiting = tokio::spawn(async move { second.acquire("report").await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    lease.release().await.expect("a release");
    let _lease = soon("the call", waiting)
        .await
        .expect("the task")
        .expect("a lease");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_resumes_after_a_failover_and_fences_increase() {
    let cluster = RedisCluster::start().expect("a cluster");
    let locker = locker(&cluster).await;
    let before = locker.acquire("report").await.expect("a lease");
    let fence = before.fence();
    before.release().await.expect("a release");

    let old = cluster.owner_of("report").expect("an owner");
    cluster.node(old).kill();
    let after = soon("a lease on the new master", locker.acquire("report"))
        .await
        .expect("a lease");
    assert!(after.fence() > fence);
    assert_eq!(
        after.release().await.expect("a release"),
        Released::Released
    );

    // A failover that was asked for: the old master lives on as a replica.
    let lease = locker.acquire("other").await.expect("a lease");
    cluster.failover("other").expect("a failover");
    let fence = lease.fence();
    lease
        .renew()
        .await
        .or_else(|error| {
            if error.is_retryable() {
                Ok(())
            } else {
                Err(error)
            }
        })
        .expect("a renewal");
    eventually("the lease is confirmed or lost", async || {
        lease.renew().await.is_ok() || !lease.is_valid()
    })
    .await;
    drop(lease);
    let next = soon("the next lease", locker.acquire("other"))
        .await
        .expect("a lease");
    assert!(next.fence() > fence);
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_of_a_resource_need_a_hash_tag() {
    let cluster = RedisCluster::start().expect("a cluster");
    let locker = locker(&cluster).await;
    let error = locker
        .slots("gpu", 3)
        .expect("slots")
        .try_acquire()
        .await
        .expect_err("spread");
    assert_eq!(
        error.to_string(),
        "the slots of this resource would live on different nodes of the cluster; give the name a \
         hash tag, as in {gpu}:render"
    );
    let slots = locker.slots("{gpu}", 3).expect("slots");
    let leases = [
        slots.try_acquire().await,
        slots.try_acquire().await,
        slots.try_acquire().await,
    ];
    assert!(leases.iter().all(Result::is_ok), "{leases:?}");
    assert!(slots.try_acquire().await.is_err());
}

/// The slot of a key on its way from its owner to another master.
struct Migration<'a> {
    cluster: &'a RedisCluster,
    slot: String,
    source: usize,
    target: usize,
}

impl<'a> Migration<'a> {
    fn begin(cluster: &'a RedisCluster, key: &str) -> Self {
        let source = cluster.owner_of(key).expect("an owner");
        let others = ["a", "b"].map(|other| cluster.owner_of(other).expect("an owner"));
        let target = others.into_iter().find(|other| *other != source);
        let migration = Self {
            cluster,
            slot: asked(cluster, source, &["CLUSTER", "KEYSLOT", key]),
            source,
            target: target.expect("another master"),
        };
        migration.set(migration.target, "IMPORTING", migration.source);
        migration.set(migration.source, "MIGRATING", migration.target);
        migration
    }

    fn set(&self, at: usize, state: &str, node: usize) {
        let id = asked(self.cluster, node, &["CLUSTER", "MYID"]);
        let words = ["CLUSTER", "SETSLOT", &self.slot, state, &id];
        asked(self.cluster, at, &words);
    }

    fn source(&self) -> &RedisServer {
        self.cluster.node(self.source)
    }

    fn target(&self) -> &RedisServer {
        self.cluster.node(self.target)
    }

    fn move_key(&self, key: &str) {
        let moved = self.source().migrate(key, self.target());
        moved.expect("MIGRATE");
    }

    fn end(self) {
        for number in [self.target, self.source] {
            self.set(number, "NODE", self.target);
        }
    }
}

fn asked(cluster: &RedisCluster, node: usize, words: &[&str]) -> String {
    let answer = cluster.node(node).cli(words).expect("an answer");
    answer.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_on_its_way_to_another_node_is_followed() {
    let cluster = RedisCluster::start().expect("a cluster");
    let locker = locker(&cluster).await;
    let lease = locker.acquire("report").await.expect("a lease");
    let migration = Migration::begin(&cluster, "report");
    migration.move_key("report");
    lease.renew().await.expect("a renewal under way");
    migration.end();
    lease.renew().await.expect("a renewal at the new node");
    assert_eq!(
        lease.release().await.expect("a release"),
        Released::Released
    );
}

/// A release and a grant are about several keys, which Redis refuses (`TRYAGAIN`) until all have arrived.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_about_several_keys_waits_until_their_slot_has_arrived() {
    let cluster = RedisCluster::start().expect("a cluster");
    // A release asks again for twice as long as this.
    let slow = [
        ("REDIS_COMMAND_TIMEOUT", "15s"),
        ("LOCK_TTL", "60s"),
        ("LOCK_MAX_TTL", "60s"),
    ];
    let (holder, waiter) = (
        locker_with(&cluster, &slow).await,
        locker_with(&cluster, &slow).await,
    );
    let lease = holder.acquire("report").await.expect("a lease");
    let migration = Migration::begin(&cluster, "report");
    migration.move_key("report");
    let releasing = tokio::spawn(lease.release());
    eventually("the release to be refused", async || {
        let stats = migration.target().info("errorstats").expect("INFO");
        stats.contains_key("errorstat_TRYAGAIN")
    })
    .await;
    let waiting = tokio::spawn({
        let waiter = waiter.clone();
        async move { waiter.acquire("report").await }
    });
    eventually("the waiter to be refused", async || {
        let obstacle = waiter.obstacle("report").expect("a name");
        let cause = obstacle.as_ref().and_then(Error::unavailable);
        cause.is_some_and(|unavailable| *unavailable.cause() == Cause::TryAgain)
    })
    .await;
    migration.end();
    let released = soon("the release", releasing).await.expect("the task");
    assert_eq!(released.expect("a release"), Released::Released);
    let next = soon("the next lease", waiting).await.expect("the task");
    next.expect("a lease").release().await.expect("a release");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_on_under_load_while_a_master_is_replaced() {
    let cluster = RedisCluster::start().expect("a cluster");
    let names: Vec<String> = (0..6).map(|number| format!("resource-{number}")).collect();
    let grants = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut workers = Vec::new();
    for number in 0..12 {
        let locker = locker(&cluster).await;
        let (name, grants, stopped) = (
            names[number % names.len()].clone(),
            grants.clone(),
            stopped.clone(),
        );
        workers.push(tokio::spawn(async move {
            let mut last = None;
            while !*stopped.borrow() {
                let lease = locker.acquire(&name).await.expect("a lease");
                assert!(Some(lease.fence()) > last, "{name}: a fence went back");
                last = Some(lease.fence());
                grants.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                // What the old master had granted may be lost: that is relaxed mode.
                let _ = lease.release().await;
            }
        }));
    }
    let granted = || grants.load(std::sync::atomic::Ordering::SeqCst);
    eventually("work under way", async || granted() > 200).await;
    let old = cluster.owner_of(&names[0]).expect("an owner");
    cluster.node(old).kill();
    let new = tokio::task::block_in_place(|| cluster.wait_for_new_owner(&names[0], old));
    new.expect("a new owner");
    let at_failover = granted();
    eventually("work goes on", async || granted() > at_failover + 200).await;
    let _ = stop.send(true);
    for worker in workers {
        soon("the end of the work", worker).await.expect("the task");
    }
}
