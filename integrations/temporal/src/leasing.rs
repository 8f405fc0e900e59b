//! Taking leases. No other module of this crate knows how the SDK is asked for one.

use std::sync::Arc;
use std::time::Duration;

use leasehold::{AcquireOptions, Error, Lease, Locker, Resource, Slots};

use crate::line::{Line, Turn};

/// What to lease.
#[derive(Debug, Clone)]
pub(crate) struct Lock {
    name: String,
    kind: Kind,
    line: Arc<Line>,
}

/// What stands in the way of a lease.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// Others hold it.
    Held {
        /// Who they are, as far as the servers tell.
        owners: Vec<String>,
        before: Option<Before>,
    },
    /// Something else, or the question who holds it was not answered.
    Other(Error),
}

/// How many are granted the lock before this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    Exactly(usize),
    /// Others of this worker are before this one. After each of them the worker goes behind the other
    /// processes again.
    AtLeast(usize),
}

#[derive(Debug, Clone)]
enum Kind {
    One(Locker, Resource),
    Slots(Slots),
}

/// How to lease it. What is `None` comes from the configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Terms {
    pub(crate) owner: Option<String>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) wait: Option<Duration>,
}

impl Lock {
    pub(crate) fn new(
        locker: &Locker,
        line: &Arc<Line>,
        name: &str,
        max_locks: Option<usize>,
    ) -> Result<Self, Error> {
        let kind = match max_locks {
            Some(most) => Kind::Slots(locker.slots(name, most)?),
            None => Kind::One(locker.clone(), Resource::new(name)?),
        };
        Ok(Self {
            name: name.to_owned(),
            kind,
            line: line.clone(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) async fn acquire(&self, terms: &Terms) -> Result<Lease, Error> {
        let options = terms.options();
        match &self.kind {
            Kind::One(locker, resource) => locker.acquire(resource.clone()).options(&options).await,
            Kind::Slots(slots) => slots.acquire().options(&options).await,
        }
    }

    /// A place behind everyone of this worker who waits for the same; to be taken just before
    /// [`acquire`](Self::acquire), and left after it.
    pub(crate) fn enter_line(&self) -> Turn {
        let max_locks = match &self.kind {
            Kind::One(..) => None,
            Kind::Slots(slots) => Some(slots.limit()),
        };
        self.line.enter(&self.name, max_locks)
    }

    /// What is waited for.
    pub(crate) async fn obstacle(&self, turn: &Turn) -> Obstacle {
        // What the first of this worker was told; it asks nobody.
        let told = match &self.kind {
            Kind::One(locker, resource) => locker.obstacle(resource.clone()).ok().flatten(),
            Kind::Slots(slots) => slots.obstacle(),
        };
        let processes = match told {
            None => None,
            Some(Error::Held(held)) => held.before,
            Some(other) => return Obstacle::Other(other),
        };
        match self.owners().await {
            Ok(owners) => Obstacle::Held {
                owners,
                before: Before::of(processes, turn.before()),
            },
            Err(error) => Obstacle::Other(error),
        }
    }

    async fn owners(&self) -> Result<Vec<String>, Error> {
        let holders = match &self.kind {
            Kind::One(locker, resource) => vec![locker.inspect(resource.clone()).await?],
            Kind::Slots(slots) => slots.inspect().await?,
        };
        let owners = holders.into_iter().flatten();
        Ok(owners.filter_map(|holder| holder.owner).collect())
    }
}

impl Before {
    fn of(processes: Option<u32>, in_this_worker: usize) -> Option<Self> {
        let all = processes.unwrap_or_default() as usize + in_this_worker;
        match (processes, in_this_worker) {
            (None, 0) => None,
            (Some(_), 0) => Some(Self::Exactly(all)),
            _ => Some(Self::AtLeast(all)),
        }
    }
}

impl Terms {
    fn options(&self) -> AcquireOptions {
        let mut options = AcquireOptions::new();
        if let Some(owner) = &self.owner {
            options = options.owner(Arc::<str>::from(owner.as_str()));
        }
        if let Some(ttl) = self.ttl {
            options = options.ttl(ttl);
        }
        if let Some(wait) = self.wait {
            options = options.timeout(wait);
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_exact_only_for_the_first_of_its_worker() {
        assert_eq!(Before::of(None, 0), None);
        assert_eq!(Before::of(None, 1), Some(Before::AtLeast(1)));
        assert_eq!(Before::of(Some(3), 0), Some(Before::Exactly(3)));
        assert_eq!(Before::of(Some(3), 2), Some(Before::AtLeast(5)));
    }
}
