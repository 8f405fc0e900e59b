//! Taking leases. No other module of this crate knows how the SDK is asked for one.

use std::sync::Arc;
use std::time::Duration;

use leasehold::{AcquireOptions, Error, Lease, Locker, Resource, Slots};

/// What to lease.
#[derive(Debug, Clone)]
pub(crate) struct Lock {
    name: String,
    kind: Kind,
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

    /// What stood in the way of the last attempt. Asks nobody.
    pub(crate) fn obstacle(&self) -> Option<Error> {
        match &self.kind {
            Kind::One(locker, resource) => locker.obstacle(resource.clone()).ok().flatten(),
            Kind::Slots(slots) => slots.obstacle(),
        }
    }

    /// Who holds it, and how many processes wait in the queue, as far as the servers tell.
    pub(crate) async fn holders(&self) -> Result<(Vec<String>, Option<u64>), Error> {
        let holders = match &self.kind {
            Kind::One(locker, resource) => vec![locker.inspect(resource.clone()).await?],
            Kind::Slots(slots) => slots.inspect().await?,
        };
        let waiters = holders.iter().flatten().find_map(|holder| holder.waiters);
        let owners = holders
            .into_iter()
            .flatten()
            .filter_map(|holder| holder.owner);
        Ok((owners.collect(), waiters))
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
