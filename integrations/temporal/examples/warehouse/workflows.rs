//! Workflows that import rows into a warehouse, two at a time into each.

use std::sync::Arc;
use std::time::Duration;

use leasehold::Ticket;
use leasehold_temporal::{
    ActivityLocks, Granted, LockActivities, NeedsLock, granted, lease_was_lost,
};
use serde::{Deserialize, Serialize};
use temporalio_common::{ActivityDefinition, RetryPolicy};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::{
    ActivityCancellationType, ActivityExecutionError, ActivityOptions, WorkflowContext,
    WorkflowResult, WorkflowTermination,
};

use crate::store::Writer;

/// How many may import into one warehouse at a time.
pub const LIMIT: usize = 2;
/// How long one row takes.
const ROW: Duration = Duration::from_millis(80);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Import {
    pub warehouse: usize,
    pub rows: u32,
    pub way: Way,
}

/// How an import takes its lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// Inside the activity, which waits for as long as it takes.
    Body,
    /// By the worker's interceptor: the activity knows nothing of it.
    Interceptor,
    /// By an activity of its own, for the two that follow.
    Ticket,
}

impl Import {
    pub fn needs(&self) -> NeedsLock {
        NeedsLock::new(format!("warehouse-{}", self.warehouse)).max_locks(LIMIT)
    }
}

#[workflow]
#[derive(Default)]
pub struct ImportWorkflow {
    /// The lock, between two activities that need it.
    ticket: Option<Ticket>,
}

#[workflow_methods]
impl ImportWorkflow {
    #[run]
    pub async fn run(ctx: &mut WorkflowContext<Self>, import: Import) -> WorkflowResult<u32> {
        let rows = match import.way {
            Way::Body => execute(ctx, Warehouse::import, import).await,
            Way::Interceptor => execute(ctx, Warehouse::load, import).await,
            Way::Ticket => Self::in_two_steps(ctx, import).await,
        };
        rows.map_err(|error| match error {
            ActivityExecutionError::Cancelled(_) => WorkflowTermination::cancelled(),
            error => error.into(),
        })
    }

    async fn in_two_steps(
        ctx: &WorkflowContext<Self>,
        import: Import,
    ) -> Result<u32, ActivityExecutionError> {
        loop {
            match Self::under_one_lock(ctx, &import).await {
                // Nobody renewed it for too long, or a failover came in between: take it again.
                Err(error) if lease_was_lost(&error) => {}
                ended => return ended,
            }
        }
    }

    async fn under_one_lock(
        ctx: &WorkflowContext<Self>,
        import: &Import,
    ) -> Result<u32, ActivityExecutionError> {
        let ticket = execute(ctx, LockActivities::acquire, import.needs()).await?;
        let mut rows = 0;
        ctx.state_mut(|state| state.ticket = Some(ticket));
        for part in [import.rows / 2, import.rows - import.rows / 2] {
            let Some(ticket) = ctx.state(|state| state.ticket.clone()) else {
                break;
            };
            let step = Step {
                import: Import {
                    rows: part,
                    ..import.clone()
                },
                ticket,
            };
            let (done, ticket) = execute(ctx, Warehouse::import_part, step).await?.into();
            rows += done;
            ctx.state_mut(|state| state.ticket = Some(ticket));
        }
        if let Some(ticket) = ctx.state_mut(|state| state.ticket.take()) {
            execute(ctx, LockActivities::release, ticket).await?;
        }
        Ok(rows)
    }
}

async fn execute<W, A: ActivityDefinition>(
    ctx: &WorkflowContext<W>,
    activity: A,
    input: impl Into<A::Input>,
) -> Result<A::Output, ActivityExecutionError> {
    let retries = RetryPolicy::builder()
        .initial_interval(Duration::from_millis(200))
        .backoff_coefficient(1.5)
        .maximum_interval(Duration::from_secs(2));
    // Longer than the wait and the work together. A worker that died is noticed by its silence,
    // except where no heartbeats are recorded: there by the end of the attempt.
    let (attempt, silence) = match activity.name() {
        "load" | "import_part" => (Duration::from_secs(8), None),
        _ => (Duration::from_secs(120), Some(Duration::from_secs(3))),
    };
    let options = ActivityOptions::with_start_to_close_timeout(attempt)
        .maybe_heartbeat_timeout(silence)
        .retry_policy(retries.build())
        // A cancelled workflow ends when its activity has given up its place in the queue.
        .cancellation_type(ActivityCancellationType::WaitCancellationCompleted);
    ctx.execute_activity(activity, input, options.build()).await
}

/// One of two activities under one lock.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    pub import: Import,
    pub ticket: Ticket,
}

/// How many rows were imported, and the ticket for the next activity.
#[derive(Debug, Serialize, Deserialize)]
pub struct Part {
    rows: u32,
    ticket: Ticket,
}

impl From<Part> for (u32, Ticket) {
    fn from(part: Part) -> Self {
        (part.rows, part.ticket)
    }
}

pub struct Warehouse {
    pub locks: ActivityLocks,
    pub store_address: String,
    pub worker: String,
}

#[activities]
impl Warehouse {
    /// Takes its lock itself.
    #[activity(name = "import")]
    pub async fn import(
        self: Arc<Self>,
        ctx: ActivityContext,
        import: Import,
    ) -> Result<u32, ActivityError> {
        let needs = import.needs();
        let body = |granted| self.write(&ctx, &import, granted);
        self.locks.run(&ctx, &needs, body).await
    }

    /// Is given its lock by the interceptor.
    #[activity(name = "load")]
    pub async fn load(
        self: Arc<Self>,
        ctx: ActivityContext,
        import: Import,
    ) -> Result<u32, ActivityError> {
        let granted = granted().ok_or_else(|| anyhow::anyhow!("`load` needs a lock"))?;
        self.write(&ctx, &import, granted).await
    }

    /// Runs under the lock that an earlier activity left to it.
    #[activity(name = "import_part")]
    pub async fn import_part(
        self: Arc<Self>,
        ctx: ActivityContext,
        step: Step,
    ) -> Result<Part, ActivityError> {
        let body = |granted| self.write(&ctx, &step.import, granted);
        let (rows, ticket) = self.locks.adopt(&ctx, &step.ticket, body).await?;
        Ok(Part { rows, ticket })
    }
}

impl Warehouse {
    async fn write(
        &self,
        ctx: &ActivityContext,
        import: &Import,
        granted: Granted,
    ) -> Result<u32, ActivityError> {
        let workflow = ctx.info().workflow_id.clone().unwrap_or_default();
        let mut writer = Writer::begin(
            &self.store_address,
            import.warehouse,
            granted,
            &workflow,
            &self.worker,
        )
        .await?;
        for _ in 0..import.rows {
            tokio::time::sleep(ROW).await;
            if ctx.is_cancelled() {
                return Err(ActivityError::cancelled());
            }
            writer.write().await?;
            if import.way == Way::Body {
                ctx.record_heartbeat(()).await?;
            }
        }
        writer.end().await?;
        Ok(import.rows)
    }
}
