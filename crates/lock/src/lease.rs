//! A held lease, as its holder sees it.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::backend::ops::ReleaseOutcome;
use crate::error::{Error, LostReason};
use crate::fence::Fence;
use crate::lifecycle::core::Core;
use crate::lifecycle::lease_state::LeaseState;
use crate::lifecycle::lease_state::Purpose;
use crate::lifecycle::renew::Renewed;
use crate::resource::Resource;
use crate::telemetry;
use crate::ticket::Ticket;

/// A lease that is held: renewed in the background until it is released or dropped.
///
/// A lease can be lost, and then the work under it must stop. Run the work in
/// [`guard`](Lease::guard), wait for [`lost`](Lease::lost), or call [`check`](Lease::check) before each
/// step. Send the [`fence`](Lease::fence) to the resource that the lease protects.
///
/// Dropping a lease releases it in a background task and never blocks. Call
/// [`release`](Lease::release) to wait for the outcome.
///
/// # When a program ends
///
/// At the end of `main`, after an error and after a panic, the runtime is dropped with its tasks.
/// Dropping it waits until everything that was leased is released, for at most twice
/// `REDIS_COMMAND_TIMEOUT`. Leases that outlive their runtime are lost
/// ([`LostReason::RuntimeEnded`]).
///
/// Nothing is released by [`std::process::exit`], by an abort, by SIGKILL, or for a lease in a
/// `static` of a program without a runtime that ends; `Runtime::shutdown_background` waits for
/// nothing. There the lock stays until its TTL has passed, so call
/// [`Locker::close`](crate::Locker::close) before.
#[must_use = "a lease that is dropped is released at once"]
pub struct Lease {
    core: Arc<Core>,
    held: Arc<LeaseState>,
    is_settled: bool,
}

const _: () = {
    const fn is_shared_between_threads<T: Send + Sync + 'static>() {}
    is_shared_between_threads::<Lease>();
    is_shared_between_threads::<LeaseWatch>();
};

/// Notifies other tasks that a lease is lost; see [`Lease::watch`]. Clones watch the same lease.
#[derive(Clone)]
pub struct LeaseWatch {
    held: Arc<LeaseState>,
}

impl LeaseWatch {
    /// As [`Lease::lost`]; never ends for a lease that is released.
    ///
    /// Cancel safe.
    pub async fn lost(&self) -> LostReason {
        self.held.loss().await
    }

    /// As [`Lease::is_valid`]; `false` too once the lease is released.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        !self.held.remaining().is_zero()
    }

    /// As [`Lease::remaining`].
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.held.remaining()
    }
}

impl fmt::Debug for LeaseWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseWatch")
            .field("resource", &self.held.resource)
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}

/// How a release ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Released {
    /// The lock was held by this lease until now.
    Released,
    /// The lock had expired or was deleted before.
    Expired,
    /// Another client holds the lock now; it was left alone.
    HeldByAnother {
        /// Who holds it.
        by: String,
    },
}

impl Lease {
    pub(crate) fn new(core: Arc<Core>, held: Arc<LeaseState>) -> Self {
        Self {
            core,
            held,
            is_settled: false,
        }
    }

    /// What is leased.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.held.resource
    }

    /// The fencing token of this lease.
    #[must_use]
    pub fn fence(&self) -> Fence {
        self.held.fence
    }

    /// The token that the lock is held with. It is a secret that permits to release the lock: keep
    /// it out of logs.
    #[must_use]
    pub fn token(&self) -> &str {
        self.held.request.token.reveal()
    }

    /// Which of the resource's slots is leased, from 0; 0 too where there is only one.
    #[must_use]
    pub fn slot(&self) -> usize {
        self.held.request.slot.unwrap_or_default()
    }

    /// The length of the lease after each renewal.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        self.held.request.ttl
    }

    /// How long the lease is valid without a further renewal; zero once it is over.
    ///
    /// It is counted from before the last confirmed command was sent, minus 1 % and 2 ms, so it
    /// ends before the key can.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.held.remaining()
    }

    /// When the lease ends without a further renewal. For a lease that has ended for lack of a
    /// renewal, it is the time at which it ended. For a lease that is over for another reason, it is
    /// the present time.
    ///
    /// `Instant` stands still while the machine sleeps; [`is_valid`](Lease::is_valid) does not.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.held.deadline()
    }

    /// Whether the lease is valid at this very moment, by the clock and not by a flag.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        !self.remaining().is_zero()
    }

    /// The lease's validity as a `Result`, for the `?` before a step that needs it.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the lease is over.
    pub fn check(&self) -> Result<(), Error> {
        if self.is_valid() {
            Ok(())
        } else {
            Err(self.loss())
        }
    }

    /// Waits until the lease is lost, and returns the reason. It returns at the deadline at the
    /// latest, even if Redis is unreachable.
    ///
    /// Cancel safe.
    pub async fn lost(&self) -> LostReason {
        self.held.loss().await
    }

    /// A handle for other tasks, to wait for the loss of this lease without owning it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), leasehold::Error> {
    /// # use leasehold::{Locker, MemoryStore};
    /// # let store = MemoryStore::new();
    /// # let locker = Locker::in_memory(&store);
    /// let lease = locker.acquire("report").await?;
    /// let watch = lease.watch();
    /// let alarm = tokio::spawn(async move { watch.lost().await });
    /// store.delete("report");
    /// let _ = lease.renew().await;
    /// println!("lost: {}", alarm.await.expect("the task"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn watch(&self) -> LeaseWatch {
        LeaseWatch {
            held: self.held.clone(),
        }
    }

    /// Renews now instead of at the next interval.
    ///
    /// Cancel safe: at worst the key exists for one more TTL.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the lease is over; [`Error::NotReplicated`], [`Error::Unavailable`] or
    /// [`Error::Ambiguous`] if the renewal was not confirmed and the lease still runs as before.
    pub async fn renew(&self) -> Result<(), Error> {
        self.check()?;
        match self.core.renew(&self.held, Purpose::Prolong).await {
            Renewed::Confirmed => Ok(()),
            Renewed::TryAgain(error) => Err(error),
            Renewed::Over(_) => Err(self.loss()),
        }
    }

    /// What another process needs to take the lease over. This process holds the lease until then,
    /// and learns of the loss at its next renewal.
    ///
    /// In strict mode, after a failover, this lease is prolonged only once the new master grants leases
    /// again: until then another process may hold it that the new master does not know of.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        self.held.ticket_issued();
        Ticket::of(&self.held)
    }

    /// Ends this side of the lease without releasing it, and returns what another process needs to
    /// take it over within [`remaining`](Lease::remaining).
    #[must_use = "without the ticket the lease can only expire"]
    pub fn into_ticket(mut self) -> Ticket {
        self.core.end(&self.held);
        self.is_settled = true;
        Ticket::of(&self.held)
    }

    /// Releases the lease and waits for the outcome.
    ///
    /// Cancel safe: if this is dropped, the release goes on in the background.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] or [`Error::Ambiguous`] if Redis did not confirm the release within
    /// twice the command timeout. The release then goes on in the background, and at the latest
    /// the TTL frees the resource.
    pub async fn release(mut self) -> Result<Released, Error> {
        self.core.end(&self.held);
        let releasing = {
            let releasing = pin!(self.core.release(&self.held));
            telemetry::releasing(self.held.about(), releasing).await?
        };
        self.is_settled = true;
        Ok(match releasing {
            ReleaseOutcome::Released => Released::Released,
            ReleaseOutcome::Missing { .. } => Released::Expired,
            ReleaseOutcome::Stolen { by } => Released::HeldByAnother { by },
        })
    }

    /// Runs `body` while the lease is valid, and drops it when the lease is lost.
    ///
    /// The clock is read before each poll of `body`, so a process that was paused for longer than
    /// its lease does no further step of it. The lease stays with the caller, who releases it
    /// afterwards.
    ///
    /// Dropping stops `body` at its next `await`. What runs without one, or was moved to another
    /// task or thread, goes on: send the [`fence`](Lease::fence) to the resource that it writes to.
    ///
    /// ```
    /// # async fn write_report(_: leasehold::Fence) -> std::io::Result<()> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use leasehold::{Locker, MemoryStore};
    /// # let locker = Locker::in_memory(&MemoryStore::new());
    /// let lease = locker.acquire("nightly-report").await?;
    /// // The first `?` is for the lease, the second for the body's own result.
    /// lease.guard(write_report(lease.fence())).await??;
    /// lease.release().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the lease was lost before `body` ended, or by the time that it did.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `body` and leaves the lease as it is.
    pub async fn guard<T>(&self, body: impl Future<Output = T>) -> Result<T, Error> {
        let mut body = pin!(body);
        let steps = poll_fn(|context| {
            if self.is_valid() {
                body.as_mut().poll(context).map(Ok)
            } else {
                Poll::Ready(Err(self.loss()))
            }
        });
        let output = tokio::select! {
            biased;
            _ = self.lost() => return Err(self.loss()),
            output = steps => output?,
        };
        self.check()?;
        Ok(output)
    }

    pub(crate) fn loss(&self) -> Error {
        Error::Lost {
            resource: self.held.resource.clone(),
            reason: self.held.reason(),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.is_settled {
            self.core.end(&self.held);
            if !self.held.ended_with_locker() {
                self.core
                    .cleanup
                    .take_back(&self.held.request, self.held.request.ttl);
            }
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("resource", self.resource())
            .field("fence", &self.fence())
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
