//! Redis Cluster: each lock on the master of its hash slot, wherever that goes.

use std::time::Duration;

use leasehold::{Error, Locker, Released};
use leasehold_testkit::RedisCluster;
use leasehold_tests::{connect, eventually, soon};

async fn locker(cluster: &RedisCluster) -> Locker {
    let mut variables = cluster.env();
    for (name, value) in [
        ("IS_LOCKING_DISABLED", "false"),
        ("LOCK_TTL", "5s"),
        ("REDIS_COMMAND_TIMEOUT", "500ms"),
        ("LOCK_RETRY_INTERVAL", "200ms"),
    ] {
        variables.push((name.to_owned(), value.to_owned()));
    }
    connect(variables, &[]).await.expect("connect")
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

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_on_its_way_to_another_node_is_followed() {
    let cluster = RedisCluster::start().expect("a cluster");
    let locker = locker(&cluster).await;
    let slot = cluster
        .node(0)
        .cli(&["CLUSTER", "KEYSLOT", "report"])
        .expect("KEYSLOT");
    let slot = slot.trim();
    let source = cluster.owner_of("report").expect("an owner");
    let target = cluster.owner_of(if source == cluster.owner_of("a").expect("an owner") {
        "b"
    } else {
        "a"
    });
    let target = target.expect("an owner");
    assert_ne!(source, target);
    let id = |node: usize| {
        cluster
            .node(node)
            .cli(&["CLUSTER", "MYID"])
            .expect("MYID")
            .trim()
            .to_owned()
    };
    let (from, to) = (id(source), id(target));
    let lease = locker.acquire("report").await.expect("a lease");
    let node = |node: usize| cluster.node(node);
    node(target)
        .cli(&["CLUSTER", "SETSLOT", slot, "IMPORTING", &from])
        .expect("SETSLOT");
    node(source)
        .cli(&["CLUSTER", "SETSLOT", slot, "MIGRATING", &to])
        .expect("SETSLOT");
    node(source)
        .migrate("report", node(target))
        .expect("MIGRATE");
    lease.renew().await.expect("a renewal under way");
    for number in [target, source] {
        node(number)
            .cli(&["CLUSTER", "SETSLOT", slot, "NODE", &to])
            .expect("SETSLOT");
    }
    lease.renew().await.expect("a renewal at the new node");
    assert_eq!(
        lease.release().await.expect("a release"),
        Released::Released
    );
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
