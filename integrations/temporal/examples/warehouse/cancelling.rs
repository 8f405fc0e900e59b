//! Cancels a workflow that waits for its lock.

use std::time::Duration;

use leasehold::Locker;
use serde::Serialize;
use temporalio_client::errors::WorkflowGetResultError;
use temporalio_client::{
    Client, WorkflowCancelOptions, WorkflowDescribeOptions, WorkflowGetResultOptions,
    WorkflowHandle, WorkflowStartOptions,
};
use temporalio_common::HasWorkflowDefinition;
use temporalio_common::protos::temporal::api::enums::v1::PendingActivityState;
use temporalio_common::protos::temporal::api::workflow::v1::PendingActivityInfo;
use tokio::time::sleep;

use crate::settings::Settings;
use crate::workflows::{Import, ImportWorkflow, LIMIT, Way};
use crate::{Ended, ended};

/// Where it waits.
const WAREHOUSE: usize = 0;
const POLL: Duration = Duration::from_millis(100);

/// A workflow that was cancelled, and what its activity said at that time.
#[derive(Debug, Serialize)]
pub struct Cancelled {
    workflow: String,
    message: String,
}

/// Starts imports until one was cancelled while it waited, and tells how each of them ended.
///
/// None of them can be granted its lock before: this program holds all slots meanwhile. Should it
/// lose them, the import completes, and it begins again.
pub async fn cancel_one(
    client: Client,
    settings: Settings,
) -> Result<(Vec<Ended>, Option<Cancelled>), String> {
    let locker = Locker::from_env()
        .await
        .map_err(|error| error.to_string())?;
    let mut endings = Vec::new();
    let cancelled = loop {
        let id = format!("unwanted-{}", endings.len());
        let tried = try_one(&client, &settings, &locker, &id).await;
        let (ended, cancelled) = tried.map_err(|error| format!("{id}: {error}"))?;
        endings.push(ended);
        if let Some(cancelled) = cancelled {
            break cancelled;
        }
    };
    println!("cancelled {}: {}", cancelled.workflow, cancelled.message);
    Ok((endings, Some(cancelled)))
}

async fn try_one(
    client: &Client,
    settings: &Settings,
    locker: &Locker,
    id: &str,
) -> Result<(Ended, Option<Cancelled>), Box<dyn std::error::Error + Send + Sync>> {
    let import = Import {
        warehouse: WAREHOUSE,
        rows: 1,
        way: Way::Body,
    };
    let slots = locker.slots(format!("warehouse-{WAREHOUSE}"), LIMIT)?;
    let mut leases = Vec::new();
    for _ in 0..LIMIT {
        leases.push(slots.acquire().owner("starter").await?);
    }
    let options = WorkflowStartOptions::new(settings.task_queue.clone(), id).build();
    let run = ImportWorkflow::run;
    let handle = client.start_workflow(run, import.clone(), options).await?;
    let message = until_it_waits(&handle).await?;
    if message.is_some() {
        let options = WorkflowCancelOptions::builder().reason("no longer wanted");
        handle.cancel(options.build()).await?;
    }
    let result = handle.get_result(WorkflowGetResultOptions::default()).await;
    let is_cancelled = matches!(result, Err(WorkflowGetResultError::Cancelled { .. }));
    for lease in leases {
        lease.release().await?;
    }
    let cancelled = message.filter(|_| is_cancelled).map(|message| Cancelled {
        workflow: id.to_owned(),
        message,
    });
    Ok((ended(&handle, &import).await, cancelled))
}

/// What its activity says while it waits; `None` if it has ended.
async fn until_it_waits<W>(
    handle: &WorkflowHandle<Client, W>,
) -> Result<Option<String>, Box<dyn std::error::Error + Send + Sync>>
where
    W: HasWorkflowDefinition,
{
    loop {
        let described = handle.describe(WorkflowDescribeOptions::default()).await?;
        let description = described.raw_description;
        let activities = &description.pending_activities;
        if let Some(message) = activities.first().and_then(waits) {
            return Ok(Some(message));
        }
        let info = description.workflow_execution_info.unwrap_or_default();
        if info.close_time.is_some() {
            return Ok(None);
        }
        sleep(POLL).await;
    }
}

/// What the attempt that runs now has recorded: an earlier one leaves its message behind.
fn waits(activity: &PendingActivityInfo) -> Option<String> {
    let started = activity.last_started_time.as_ref()?;
    let heard = activity.last_heartbeat_time.as_ref()?;
    let is_running = activity.state() == PendingActivityState::Started
        && (heard.seconds, heard.nanos) >= (started.seconds, started.nanos);
    let details = activity.heartbeat_details.as_ref()?.payloads.first()?;
    let message: String = serde_json::from_slice(&details.data).ok()?;
    // Not before it was told who holds the lock.
    (is_running && message.contains("held by starter")).then_some(message)
}
