//! The locks of a worker: which activities need one, and running a body under one.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use leasehold::Locker;
use serde_json::Value;
use temporalio_common::ActivityDefinition;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::interceptors::ExecuteActivityInput;

use crate::error::{self, InvalidNeed};
use crate::execution::Execution;
use crate::hold::{self, Granted};
use crate::leasing::{Lock, Terms};
use crate::line::Line;
use crate::name::{self, NameError, Template};
use crate::needs_lock::NeedsLock;
use crate::waiting;

/// A lease need not be shorter than this, however short the activity.
const SHORTEST_TTL: Duration = Duration::from_secs(1);

/// The locks of a worker's activities. Make one for the worker; its clones share one connection.
///
/// As an [interceptor](temporalio_sdk::interceptors::ActivityInboundInterceptor) it runs the
/// activities that were named with [`needs_lock`](Self::needs_lock) under a lease. Inside an
/// activity, [`run`](Self::run) does that for a part of its body, with heartbeats while it waits.
///
/// With `IS_LOCKING_DISABLED=true` everything runs at once and nothing connects.
#[derive(Clone)]
pub struct ActivityLocks {
    locker: Locker,
    line: Arc<Line>,
    rules: Arc<HashMap<String, Rule>>,
    pub(crate) by_header: bool,
}

/// What one type of activity needs.
#[derive(Clone)]
struct Rule {
    template: Template,
    needs: NeedsLock,
    arguments: fn(&ExecuteActivityInput) -> Result<Vec<Value>, String>,
}

impl ActivityLocks {
    /// Locks of this locker, and no activity that needs one.
    #[must_use]
    pub fn new(locker: Locker) -> Self {
        Self {
            locker,
            line: Arc::default(),
            rules: Arc::default(),
            by_header: false,
        }
    }

    /// The locker, to close it when the worker has stopped.
    #[must_use]
    pub fn locker(&self) -> &Locker {
        &self.locker
    }

    /// Has the interceptor run this activity under a lock.
    ///
    /// The interceptor can neither record heartbeats nor see a cancellation. So it waits for a short
    /// time and then fails the attempt, and Temporal tries again: a waiting activity does not block
    /// its worker. Use [`run`](Self::run) where the wait or the work is long.
    ///
    /// # Errors
    ///
    /// The name is no template, or the number of holders is out of bounds.
    pub fn needs_lock<A>(mut self, activity: A, needs: NeedsLock) -> Result<Self, InvalidNeed>
    where
        A: ActivityDefinition,
    {
        let template = Template::parse(&needs.name)?;
        if let Some(most) = needs.max_locks {
            self.locker.slots("any", most).map_err(InvalidNeed::Lock)?;
        }
        let rule = Rule {
            template,
            needs,
            arguments: arguments::<A>,
        };
        Arc::make_mut(&mut self.rules).insert(activity.name().to_owned(), rule);
        Ok(self)
    }

    /// Has the interceptor also obey the header [`NEEDS_LOCK_HEADER`](crate::NEEDS_LOCK_HEADER) of
    /// activities that were not named here: whoever schedules an activity says what it needs.
    #[must_use]
    pub fn needs_lock_by_header(mut self) -> Self {
        self.by_header = true;
        self
    }

    /// Waits for a lock inside an activity, runs `body` under it, and releases it.
    ///
    /// While it waits it records heartbeats, whose details say what is waited for, who holds it, and how
    /// many are before: "waiting for …, held by import-3/…, 3 before us". The wait ends when the activity is cancelled. `body` is dropped when the lease is lost or the attempt's
    /// time is over. Record the heartbeats of the work itself in `body`: only it knows whether the work
    /// goes on.
    ///
    /// It says `at least` where others of this worker wait for the same lock before this activity: the
    /// queue in Redis has one place for each process.
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// # use leasehold_temporal::{ActivityLocks, NeedsLock};
    /// # use temporalio_sdk::activities::{ActivityContext, ActivityError};
    /// # async fn write(row: u32, fence: leasehold::Fence) -> std::io::Result<()> { Ok(()) }
    /// # async fn import(locks: ActivityLocks, ctx: ActivityContext) -> Result<(), ActivityError> {
    /// let needs = NeedsLock::new("warehouse-7").max_locks(2);
    /// let rows = locks.run(&ctx, &needs, async |granted| {
    ///     for row in 0..1000 {
    ///         write(row, granted.fence).await?;
    ///         ctx.record_heartbeat(row).await?;
    ///     }
    ///     Ok(1000)
    /// }).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What `body` fails with; [`ActivityError::Cancelled`] for a wait that was cancelled; or an
    /// application failure of one of these types:
    ///
    /// | type | retryable | |
    /// | --- | --- | --- |
    /// | [`NOT_LEASED`](crate::NOT_LEASED) | yes, when the holder could be gone | the wait was over |
    /// | [`LEASE_LOST`](crate::LEASE_LOST) | yes | with the fence, in [`LockFailure`](crate::LockFailure) |
    /// | [`ATTEMPT_OVER`](crate::ATTEMPT_OVER) | yes | the server has given the attempt up |
    /// | [`LOCK_CONFIGURATION`](crate::LOCK_CONFIGURATION) | no | a bad name, credentials, a lease length out of bounds |
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `body`, and gives the place in the queue or the lease back in the
    /// background.
    pub async fn run<F, T>(
        &self,
        context: &ActivityContext,
        needs: &NeedsLock,
        body: impl FnOnce(Granted) -> F,
    ) -> Result<T, ActivityError>
    where
        F: Future<Output = Result<T, ActivityError>>,
    {
        let execution = Execution::of(context.info());
        let end = execution.end();
        let (lock, terms) = self.lock_inside(needs, &execution)?;
        let heartbeat = execution.heartbeat_timeout;
        let lease = waiting::lease(&lock, &terms, heartbeat, context).await?;
        let work = body(Granted::by(&lease));
        hold::run_and_release(lease, end, work).await
    }

    /// The lock of an activity that asks for it itself.
    pub(crate) fn lock_inside(
        &self,
        needs: &NeedsLock,
        execution: &Execution,
    ) -> Result<(Lock, Terms), ActivityError> {
        let name = Template::parse(&needs.name)
            .and_then(|template| template.fill(execution, &[]))
            .map_err(|error| error::configuration(&needs.name, error))?;
        self.lock(&name, needs, execution, None)
    }

    /// The lock that the table names for an activity.
    pub(crate) fn lock_outside(
        &self,
        input: &ExecuteActivityInput,
        execution: &Execution,
    ) -> Result<Option<(Lock, Terms)>, ActivityError> {
        let Some(rule) = self.rules.get(&execution.activity_type) else {
            return Ok(None);
        };
        let arguments = if rule.template.has_arguments() {
            (rule.arguments)(input)
        } else {
            Ok(Vec::new())
        };
        let name = arguments
            .map_err(|problem| NameError::value(execution, problem))
            .and_then(|arguments| rule.template.fill(execution, &arguments))
            .map_err(|error| error::configuration(&rule.needs.name, error))?;
        // The server takes an activity that is silent for longer for dead.
        let most = execution.heartbeat_timeout.map(|timeout| timeout / 2);
        self.lock(&name, &rule.needs, execution, most).map(Some)
    }

    pub(crate) fn lock(
        &self,
        name: &str,
        needs: &NeedsLock,
        execution: &Execution,
        longest_wait: Option<Duration>,
    ) -> Result<(Lock, Terms), ActivityError> {
        let lock = Lock::new(&self.locker, &self.line, name, needs.max_locks)
            .map_err(|error| error::configuration(name, error))?;
        let timeout = execution.attempt_timeout;
        let wait = needs.wait.or(timeout.map(|timeout| timeout / 2));
        let wait = match (wait, longest_wait) {
            (Some(wait), Some(longest)) => Some(wait.min(longest)),
            (wait, longest) => wait.or(longest),
        };
        // A worker that died must not block the lock for longer than its attempt could last.
        let configured = self.locker.options().ttl;
        let ttl = needs
            .ttl
            .or(timeout.map(|timeout| configured.min(timeout.max(SHORTEST_TTL))));
        let owner = Some(execution.owner());
        Ok((lock, Terms { owner, ttl, wait }))
    }
}

impl fmt::Debug for ActivityLocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityLocks")
            .field("locker", &self.locker)
            .field("activities", &self.rules.keys())
            .finish_non_exhaustive()
    }
}

fn arguments<A: ActivityDefinition>(input: &ExecuteActivityInput) -> Result<Vec<Value>, String> {
    let input = input.args_ref::<A::Input>();
    let input =
        input.ok_or("its arguments are of another type than those of the activity named")?;
    name::arguments::<A>(input)
}

#[cfg(test)]
mod tests {
    use leasehold::MemoryStore;
    use temporalio_common::UntypedActivity;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn locks() -> ActivityLocks {
        ActivityLocks::new(Locker::in_memory(&MemoryStore::new()))
    }

    fn terms(needs: &NeedsLock, attempt: Duration, longest_wait: Option<Duration>) -> Terms {
        let execution = Execution {
            attempt_timeout: Some(attempt),
            ..Execution::default()
        };
        let locked = locks().lock("warehouse", needs, &execution, longest_wait);
        locked.expect("a lock").1
    }

    #[tokio::test]
    async fn a_lease_and_a_wait_are_no_longer_than_the_attempt() {
        let needs = NeedsLock::new("warehouse");
        let short = terms(&needs, 8 * SECOND, None);
        assert_eq!(
            (short.ttl, short.wait),
            (Some(8 * SECOND), Some(4 * SECOND))
        );
        let long = terms(&needs, 3600 * SECOND, Some(2 * SECOND));
        assert_eq!((long.ttl, long.wait), (Some(30 * SECOND), Some(2 * SECOND)));
        let asked = needs.wait(7 * SECOND).ttl(20 * SECOND);
        let asked = terms(&asked, 8 * SECOND, None);
        assert_eq!(
            (asked.ttl, asked.wait),
            (Some(20 * SECOND), Some(7 * SECOND))
        );
    }

    #[tokio::test]
    async fn what_can_never_be_granted_is_refused_when_the_worker_starts() {
        let refused = |needs| {
            let refused = locks().needs_lock(UntypedActivity::new("load"), needs);
            refused.expect_err("bad needs").to_string()
        };
        let no_slots = refused(NeedsLock::new("warehouse").max_locks(0));
        assert!(no_slots.contains("0 slots"), "{no_slots}");
        let no_name = refused(NeedsLock::new("warehouse-{first}"));
        assert!(no_name.contains("`{first}` is none of"), "{no_name}");
    }
}
