//! Several resources as one lease.

use std::fmt;

use futures_util::future::select_all;

use crate::error::{Error, LostReason};
use crate::lease::Lease;
use crate::resource::Resource;

/// Leases on several resources, held together: if one is lost, all are of no more use.
///
/// Get them from [`Locker::acquire_all`](crate::Locker::acquire_all). Dropping them releases all
/// in the background.
#[must_use = "leases that are dropped are released at once"]
pub struct Leases {
    leases: Vec<Lease>,
}

impl Leases {
    pub(crate) fn new(leases: Vec<Lease>) -> Self {
        Self { leases }
    }

    /// Each lease, in the order of the resources' names.
    pub fn iter(&self) -> std::slice::Iter<'_, Lease> {
        self.leases.iter()
    }

    /// The lease on one of the resources.
    #[must_use]
    pub fn get(&self, resource: &str) -> Option<&Lease> {
        self.leases
            .iter()
            .find(|lease| lease.resource().as_str() == resource)
    }

    /// Whether all are valid at this very moment.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.leases.iter().all(Lease::is_valid)
    }

    /// The validity of all as a `Result`, for the `?` before a step that needs them.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] with the first lease that is over.
    pub fn check(&self) -> Result<(), Error> {
        self.leases.iter().try_for_each(Lease::check)
    }

    /// Waits until one of the leases is lost, and returns which one and why.
    ///
    /// Cancel safe.
    pub async fn lost(&self) -> (Resource, LostReason) {
        if self.leases.is_empty() {
            return std::future::pending().await;
        }
        let losses = self.leases.iter().map(|lease| Box::pin(lease.lost()));
        let (reason, which, _) = select_all(losses).await;
        (self.leases[which].resource().clone(), reason)
    }

    /// Gives all of them back and waits for the outcome.
    ///
    /// Cancel safe: what is not released yet when this is dropped is released in the background.
    ///
    /// # Errors
    ///
    /// The first error of [`Lease::release`]; the others are released all the same.
    pub async fn release(mut self) -> Result<(), Error> {
        let mut first_error = Ok(());
        while let Some(lease) = self.leases.pop() {
            let released = lease.release().await.map(|_| ());
            first_error = first_error.and(released);
        }
        first_error
    }
}

impl<'a> IntoIterator for &'a Leases {
    type Item = &'a Lease;
    type IntoIter = std::slice::Iter<'a, Lease>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.leases).finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Error, Locker, LostReason, MemoryStore};

    #[tokio::test(start_paused = true)]
    async fn several_are_held_together_and_lost_together() {
        let store = MemoryStore::new();
        let locker = Locker::in_memory(&store);
        let leases = locker.acquire_all(["b", "a"]).await.expect("both");
        let names: Vec<&str> = (&leases)
            .into_iter()
            .map(|lease| lease.resource().as_str())
            .collect();
        assert_eq!(names, ["a", "b"]);
        let name = |resource| leases.get(resource).map(|lease| lease.resource().as_str());
        assert_eq!(
            (name("a"), name("b"), name("c")),
            (Some("a"), Some("b"), None)
        );
        assert!(leases.is_valid() && leases.check().is_ok());
        assert!(format!("{leases:?}").contains("\"a\""), "{leases:?}");
        store.delete("b");
        let renewed = leases.get("b").expect("a lease").renew().await;
        assert!(matches!(renewed, Err(Error::Lost { .. })));
        assert!(leases.get("a").expect("a lease").is_valid());
        assert!(!leases.is_valid() && matches!(leases.check(), Err(Error::Lost { .. })));
        let (resource, reason) = leases.lost().await;
        assert_eq!((resource.as_str(), reason), ("b", LostReason::Deleted));
    }

    #[tokio::test(start_paused = true)]
    async fn a_release_gives_all_of_them_back() {
        let store = MemoryStore::new();
        let locker = Locker::in_memory(&store);
        let leases = locker.acquire_all(["b", "a"]).await.expect("both");
        assert_eq!(store.count(), 2);
        leases.release().await.expect("an answer");
        assert_eq!(store.count(), 0);
    }
}
