//! What every way to keep leases has to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use leasehold::{AcquireOptions, Error, Locker, LostReason, Released, Renewal};
use leasehold_tests::{eventually, soon};

use crate::deployments::Deployment;
use crate::operator;

pub(crate) async fn all(deployment: &Deployment) {
    let (first, second) = (
        deployment.locker("first").await,
        deployment.locker("second").await,
    );
    a_lease_is_granted_and_given_back(deployment, &first, &second).await;
    a_dropped_lease_is_given_back(&first, &second).await;
    fences_increase(&first, &second).await;
    a_wait_ends_with_the_release(&first, &second).await;
    a_wait_ends_with_its_timeout(deployment, &first, &second).await;
    a_cancelled_wait_leaves_nothing_behind(deployment, &first, &second).await;
    a_lease_is_renewed(&first).await;
    an_unrenewed_lease_ends(&first, &second).await;
    a_deleted_lease_is_lost(deployment, &first).await;
    a_body_runs_under_a_lease(&first, &second).await;
    slots_are_limited(deployment, &first).await;
    a_ticket_moves_a_lease(&first, &second).await;
    several_at_once(&first, &second).await;
    operator::locks_are_listed(deployment, &first, &second).await;
    operator::a_lock_is_taken_from_its_holder(deployment, &first, &second).await;
    contenders_take_turns(deployment, &first, &second).await;
    bad_arguments_are_refused(&first).await;
    a_closed_locker_refuses(deployment).await;
}

async fn a_lease_is_granted_and_given_back(on: &Deployment, first: &Locker, second: &Locker) {
    let lease = first.acquire("one").await.expect("a lease");
    assert!(lease.is_valid() && lease.remaining() <= lease.ttl());
    if on.excludes {
        // A member of a quorum whose gate is still closed cannot say who holds.
        eventually("the holder is told", async || {
            match second.try_acquire("one").await {
                Err(Error::Held(held)) => held.owner.as_deref() == Some("first"),
                Err(Error::NoQuorum { .. }) => false,
                other => panic!("{other:?}"),
            }
        })
        .await;
    } else {
        drop(
            second
                .try_acquire("one")
                .await
                .expect("everything is granted"),
        );
    }
    assert_eq!(
        lease.release().await.expect("a release"),
        Released::Released
    );
    assert!(first.inspect("one").await.expect("inspect").is_none());
}

async fn a_dropped_lease_is_given_back(first: &Locker, second: &Locker) {
    drop(first.acquire("dropped").await.expect("a lease"));
    let lease = soon("the drop", second.acquire("dropped"))
        .await
        .expect("a lease");
    lease.release().await.expect("a release");
}

async fn fences_increase(first: &Locker, second: &Locker) {
    let mut last = None;
    for locker in [first, second, first, first, second] {
        let lease = soon("a lease", locker.acquire("fenced"))
            .await
            .expect("a lease");
        assert!(Some(lease.fence()) > last);
        last = Some(lease.fence());
        lease.release().await.expect("a release");
    }
}

async fn a_wait_ends_with_the_release(first: &Locker, second: &Locker) {
    let lease = first.acquire("waited for").await.expect("a lease");
    let waiter = second.clone();
    let waiting = tokio::spawn(async move { waiter.acquire("waited for").await });
    tokio::task::yield_now().await;
    lease.release().await.expect("a release");
    let lease = soon("the turn", waiting)
        .await
        .expect("the task")
        .expect("a lease");
    lease.release().await.expect("a release");
}

async fn a_wait_ends_with_its_timeout(on: &Deployment, first: &Locker, second: &Locker) {
    if !on.excludes {
        return;
    }
    let lease = first.acquire("busy").await.expect("a lease");
    let timeout = Duration::from_millis(150);
    let options = AcquireOptions::new().timeout(timeout);
    match second.acquire("busy").options(&options).await {
        Err(Error::TimedOut {
            timeout: limit,
            because,
            ..
        }) => {
            assert_eq!(limit, timeout);
            assert!(matches!(*because, Error::Held(_)), "{because}");
        }
        other => panic!("{other:?}"),
    }
    lease.release().await.expect("a release");
}

async fn a_cancelled_wait_leaves_nothing_behind(on: &Deployment, first: &Locker, second: &Locker) {
    if !on.excludes {
        return;
    }
    let lease = first.acquire("given up").await.expect("a lease");
    for number in 0..20 {
        let wait = Duration::from_micros(number * 200);
        let _ = tokio::time::timeout(wait, second.acquire("given up")).await;
    }
    lease.release().await.expect("a release");
    for _ in 0..5 {
        let lease = soon("a lease", first.acquire("given up"))
            .await
            .expect("a lease");
        lease.release().await.expect("a release");
    }
}

async fn a_lease_is_renewed(first: &Locker) {
    let options = AcquireOptions::new().ttl(Duration::from_millis(600));
    let lease = soon("a lease", first.acquire("renewed").options(&options))
        .await
        .expect("a lease");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(lease.is_valid());
    lease.renew().await.expect("a renewal");
    assert_eq!(
        lease.release().await.expect("a release"),
        Released::Released
    );
}

async fn an_unrenewed_lease_ends(first: &Locker, second: &Locker) {
    let options = AcquireOptions::new()
        .ttl(Duration::from_millis(300))
        .renewal(Renewal::Off);
    let lease = soon("a lease", first.acquire("ends").options(&options))
        .await
        .expect("a lease");
    assert_eq!(
        soon("the end", lease.lost()).await,
        LostReason::Expired { because: None }
    );
    assert!(matches!(lease.check(), Err(Error::Lost { .. })));
    assert!(matches!(lease.renew().await, Err(Error::Lost { .. })));
    let next = soon("the next lease", second.acquire("ends"))
        .await
        .expect("a lease");
    next.release().await.expect("a release");
}

async fn a_deleted_lease_is_lost(on: &Deployment, first: &Locker) {
    if !on.excludes {
        return;
    }
    let lease = first.acquire("deleted").await.expect("a lease");
    eventually("the loss", async || {
        // A straggler of the grant may come after the deletion on some member of a quorum.
        on.delete("deleted");
        let at_once = Duration::from_millis(200);
        tokio::time::timeout(at_once, lease.lost()).await.is_ok()
    })
    .await;
    assert!(matches!(
        lease.lost().await,
        LostReason::Deleted | LostReason::Expired { .. }
    ));
}

async fn a_body_runs_under_a_lease(first: &Locker, second: &Locker) {
    let fence = first
        .with_lock("body", async |lease| lease.fence())
        .await
        .expect("the body");
    let later = second
        .with_lock("body", async |lease| lease.fence())
        .await
        .expect("the body");
    assert!(fence < later);
}

async fn slots_are_limited(on: &Deployment, first: &Locker) {
    let slots = first.slots("{slots}", 2).expect("slots");
    let leases = [
        soon("a slot", slots.acquire()).await.expect("a slot"),
        soon("a slot", slots.acquire()).await.expect("a slot"),
    ];
    assert_eq!(slots.try_acquire().await.is_ok(), !on.excludes);
    let holders = slots.inspect().await.expect("the holders");
    let owners = holders
        .iter()
        .map(|holder| holder.as_ref()?.owner.as_deref());
    let expected = on.excludes.then_some("first");
    assert_eq!(owners.collect::<Vec<_>>(), [expected; 2]);
    for lease in leases {
        lease.release().await.expect("a release");
    }
}

async fn a_ticket_moves_a_lease(first: &Locker, second: &Locker) {
    let lease = soon("a lease", first.acquire("ticket"))
        .await
        .expect("a lease");
    let fence = lease.fence();
    let adopted = second.adopt(&lease.into_ticket()).await.expect("adopted");
    assert!(adopted.fence() > fence);
    assert_eq!(
        adopted.release().await.expect("a release"),
        Released::Released
    );
}

async fn several_at_once(first: &Locker, second: &Locker) {
    let options = AcquireOptions::new();
    for locker in [first, second] {
        let leases = soon("all", locker.acquire_all(["x", "y", "z"]).options(&options))
            .await
            .expect("all");
        assert!(leases.is_valid() && leases.get("y").is_some());
        leases.release().await.expect("a release");
    }
}

async fn contenders_take_turns(on: &Deployment, first: &Locker, second: &Locker) {
    let inside = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let mut workers = Vec::new();
    for number in 0..6 {
        let locker = if number % 2 == 0 {
            first.clone()
        } else {
            second.clone()
        };
        let (inside, most) = (inside.clone(), most.clone());
        workers.push(tokio::spawn(async move {
            for _ in 0..5 {
                let lease = locker.acquire("turns").await.expect("a lease");
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
                lease.release().await.expect("a release");
            }
        }));
    }
    for worker in workers {
        soon("all turns", worker).await.expect("the task");
    }
    if on.excludes {
        assert_eq!(most.load(Ordering::SeqCst), 1);
    }
}

async fn bad_arguments_are_refused(first: &Locker) {
    assert!(matches!(first.acquire("").await, Err(Error::Resource(_))));
    assert!(matches!(
        first.try_acquire("a\nb").await,
        Err(Error::Resource(_))
    ));
    let endless = AcquireOptions::new().ttl(Duration::from_secs(3600));
    assert!(matches!(
        first.acquire("long").options(&endless).await,
        Err(Error::Ttl { .. })
    ));
    assert!(matches!(
        first.slots("none", 0),
        Err(Error::SlotLimit { asked: 0, .. })
    ));
}

async fn a_closed_locker_refuses(on: &Deployment) {
    let locker = on.locker("closing").await;
    let lease = soon("a lease", locker.acquire("open"))
        .await
        .expect("a lease");
    locker
        .clone()
        .close(Duration::from_secs(10))
        .await
        .expect("closed");
    assert_eq!(soon("the loss", lease.lost()).await, LostReason::Closed);
    assert!(matches!(locker.acquire("open").await, Err(Error::Closed)));
}
