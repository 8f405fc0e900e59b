//! Requests of operators: a list of the locks, and a forced release.

use crate::backend::ops::ForceOutcome;
use crate::error::Error;
use crate::fence::Fence;
use crate::holder::Holder;
use crate::locker::Locker;
use crate::request::named;
use crate::resource::Resource;

/// One step of [`Locker::list`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Page {
    /// What this step found; may be empty although there is more.
    pub found: Vec<Listed>,
    /// Where the next step begins; `None` after the last.
    pub next: Option<u64>,
}

/// One key that [`Locker::list`] found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Listed {
    /// The name of the resource, without the configured prefix. Not necessarily one that could be
    /// leased: any client of this Redis can write keys.
    pub name: String,
    /// Which of the resource's slots this is. `None` for a resource with one holder, and for slots
    /// that only foreign clients ever held: those look like a resource `name:0`.
    pub slot: Option<usize>,
    /// Who holds it.
    pub holder: Holder,
    /// Whether the key is surely a lock, because a client of this SDK wrote its value. Otherwise it may be
    /// a plain client's lock, or any other string.
    pub is_lock: bool,
}

/// How [`Locker::force_release`] ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Forced {
    /// The lock was taken from this holder.
    Taken {
        /// Who held it.
        from: String,
        /// Every later grant has a greater fence, the deposed holder has a lesser one: give it to
        /// the resource to refuse that holder at once.
        fence: Fence,
    },
    /// Nobody held it.
    Free,
    /// Another client holds it by now; it was left alone.
    HeldByAnother {
        /// Who holds it.
        by: String,
    },
}

impl Locker {
    /// One bounded step through the locks whose name matches a Redis glob (`*`, `orders:*`). Start
    /// at 0 and go on with [`Page::next`]. What is taken or released meanwhile may be seen or not;
    /// a lock may be seen twice.
    ///
    /// Needs the permissions of the user `observer` of `config/users.acl`.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if Redis could not be asked. Without Redis there is nothing to list.
    pub async fn list(&self, pattern: &str, start: u64) -> Result<Page, Error> {
        let prefix = &self.core().options.key_prefix;
        let glob = format!("{}{pattern}", escaped(prefix));
        self.core().stop.check_tasks()?;
        let scanned = self.core().backend.scan(&glob, start).await;
        let scanned = scanned.map_err(|failure| Error::Unavailable(failure.unavailable))?;
        let found = scanned.found.into_iter().map(|found| Listed {
            name: found
                .name
                .strip_prefix(prefix)
                .unwrap_or(&found.name)
                .to_owned(),
            slot: found.slot,
            holder: found.holding.into(),
            is_lock: found.is_lock,
        });
        Ok(Page {
            found: found.collect(),
            next: (scanned.next != 0).then_some(scanned.next),
        })
    }

    /// Takes a resource from the holder with this [`Holder::id`], which learns at its next renewal
    /// that the lease is lost. If another client holds the resource by then, it is left alone.
    ///
    /// The former holder may still be at work: this is for holders that are known to be gone, or
    /// for resources that refuse a stale [`Fence`].
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if Redis could not be asked; in strict mode [`Error::NotReplicated`] if the
    /// holder was removed, but too few data nodes know it, so that a failover may bring it back.
    pub async fn force_release(
        &self,
        resource: impl TryInto<Resource, Error: Into<Error>>,
        holder_id: &str,
    ) -> Result<Forced, Error> {
        let resource = named(resource)?;
        let keys = self.keys(&resource)?;
        self.core().stop.check_tasks()?;
        let forcing = self.core().backend.force_release(&keys, holder_id).await;
        match forcing.map_err(|failure| Error::Unavailable(failure.unavailable))? {
            ForceOutcome::Taken { from, fence } => Ok(Forced::Taken { from, fence }),
            ForceOutcome::NotReplicated(confirmed) => Err(Error::NotReplicated {
                resource,
                acknowledged: confirmed.acknowledged,
                needed: confirmed.needed,
                data_nodes: confirmed.data_nodes,
            }),
            ForceOutcome::Missing => Ok(Forced::Free),
            ForceOutcome::HeldByAnother { by } => Ok(Forced::HeldByAnother { by }),
        }
    }
}

/// A prefix as a glob that matches it alone.
fn escaped(prefix: &str) -> String {
    let mut glob = String::with_capacity(prefix.len());
    for character in prefix.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            glob.push('\\');
        }
        glob.push(character);
    }
    glob
}
