//! What an operator asks: which locks are there, and who holds them; and to take one away.

use leasehold::{Forced, Listed, Locker, LostReason};
use leasehold_tests::{eventually, soon};

use crate::deployments::Deployment;

pub(crate) async fn locks_are_listed(on: &Deployment, first: &Locker, second: &Locker) {
    if !on.has_operator {
        return;
    }
    let mut leases = Vec::new();
    for number in 0..20 {
        let name = format!("listed-{number:02}");
        leases.push(first.acquire(name).await.expect("a lease"));
    }
    // A member of a quorum may get its lock after the grant, and lists what it has.
    eventually("all of them are listed", async || {
        let names = all(second, "listed-*").await.into_iter();
        let mut names: Vec<String> = names.map(|listed| listed.name).collect();
        names.sort();
        names.dedup();
        names
            .iter()
            .eq(leases.iter().map(|lease| lease.resource().as_str()))
    })
    .await;
    let some = all(second, "listed-07").await;
    let [listed] = &some[..] else {
        panic!("{some:?}")
    };
    assert!(listed.is_lock && listed.slot.is_none());
    assert_eq!(listed.holder.owner.as_deref(), Some("first"));
    for lease in leases {
        lease.release().await.expect("a release");
    }
}

async fn all(locker: &Locker, pattern: &str) -> Vec<Listed> {
    let (mut found, mut start) = (Vec::new(), Some(0));
    while let Some(at) = start {
        let page = locker.list(pattern, at).await.expect("a page");
        found.extend(page.found);
        start = page.next;
    }
    found
}

pub(crate) async fn a_lock_is_taken_from_its_holder(
    on: &Deployment,
    first: &Locker,
    second: &Locker,
) {
    if !on.has_operator {
        return;
    }
    let lease = first.acquire("taken").await.expect("a lease");
    let holder = || async { second.inspect("taken").await.ok()??.id };
    eventually("the holder is known", async || holder().await.is_some()).await;
    let id = holder().await.expect("an id");

    let refused = second.force_release("taken", "another").await;
    let Ok(Forced::HeldByAnother { by }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(by, "first");
    lease.check().expect("it was left alone");

    let taken = second.force_release("taken", &id).await;
    let Ok(Forced::Taken { from, fence }) = taken else {
        panic!("{taken:?}")
    };
    assert_eq!(from, "first");
    assert!(fence > lease.fence(), "the former holder can be refused");
    eventually("the loss", async || lease.check().is_err()).await;
    let reason = soon("the loss", lease.lost()).await;
    assert_eq!(reason, LostReason::Deleted);

    let later = second.acquire("taken").await.expect("a lease");
    assert!(later.fence() > fence);
    later.release().await.expect("a release");
    eventually("nobody holds it", async || {
        matches!(second.force_release("taken", &id).await, Ok(Forced::Free))
    })
    .await;
}
