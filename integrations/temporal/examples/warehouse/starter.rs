//! Runs the warehouses' store, starts workflows that import into them, and draws who held what when.

mod ledger;
mod measure;
mod settings;
mod store;
mod timeline;
mod workflows;

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde::Serialize;
use temporalio_client::errors::WorkflowGetResultError;
use temporalio_client::{
    Client, WorkflowCancelOptions, WorkflowDescribeOptions, WorkflowGetResultOptions,
    WorkflowHandle, WorkflowStartOptions,
};
use temporalio_common::HasWorkflowDefinition;
use tokio::time::sleep;

use ledger::{Ledger, Record};
use measure::MeasureWorkflow;
use settings::{Settings, variable};
use workflows::{Import, ImportWorkflow, Way};

/// How one workflow ended.
#[derive(Debug, Serialize)]
struct Ended {
    workflow: String,
    way: Way,
    rows_asked: u32,
    /// `completed`, `cancelled` or `failed`.
    outcome: &'static str,
    rows: Option<u32>,
    problem: Option<String>,
}

/// A workflow that was cancelled, and what its activity said at that time.
#[derive(Debug, Serialize)]
struct Cancelled {
    workflow: String,
    message: String,
}

#[derive(Debug, Serialize)]
struct Report {
    limit: usize,
    seconds: f64,
    workflows: Vec<Ended>,
    cancelled: Option<Cancelled>,
    record: Record,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let settings = Settings::read()?;
    let workflows: usize = variable("WORKFLOWS", "50")?;
    let warehouses: usize = variable("WAREHOUSES", "5")?;
    let rows: u32 = variable("ROWS", "10")?;
    let cancels: bool = variable("CANCEL_ONE", "false")?;
    let times: u32 = variable("MEASURE", "0")?;
    let client = settings.client().await?;
    if times > 0 {
        return measure(&client, &settings, times).await;
    }
    let ledger = Ledger::open(&settings.store_address)?;
    let mut started = Vec::new();
    for index in 0..workflows {
        let import = Import {
            warehouse: index % warehouses,
            rows,
            way: way(index),
        };
        let id = format!("import-{index}");
        let options = WorkflowStartOptions::new(settings.task_queue.clone(), id).build();
        let run = ImportWorkflow::run;
        let handle = client.start_workflow(run, import.clone(), options).await?;
        started.push((handle, import));
    }
    println!("{workflows} workflows started");
    let cancelling = async {
        if cancels {
            cancel_one(&started).await
        } else {
            None
        }
    };
    let endings = join_all(started.iter().map(|(handle, import)| ended(handle, import)));
    let (cancelled, endings) = tokio::join!(cancelling, endings);
    let report = Report {
        limit: workflows::LIMIT,
        seconds: ledger.started.elapsed().as_secs_f64(),
        workflows: endings,
        cancelled,
        record: ledger.record(),
    };
    show(&report);
    if let Ok(path) = std::env::var("REPORT") {
        std::fs::write(path, serde_json::to_string_pretty(&report)?)?;
    }
    Ok(())
}

/// Three in five wait inside their activity, one in five is held back by the interceptor, and one in
/// five holds its lock over several activities.
fn way(index: usize) -> Way {
    match index / 5 % 5 {
        0 => Way::Interceptor,
        1 => Way::Ticket,
        _ => Way::Body,
    }
}

async fn ended<W>(handle: &WorkflowHandle<Client, W>, import: &Import) -> Ended
where
    W: HasWorkflowDefinition<Output = u32>,
{
    let result = handle.get_result(WorkflowGetResultOptions::default()).await;
    let (outcome, rows, problem) = match result {
        Ok(rows) => ("completed", Some(rows), None),
        Err(WorkflowGetResultError::Cancelled { .. }) => ("cancelled", None, None),
        Err(error) => ("failed", None, Some(error.to_string())),
    };
    Ended {
        workflow: handle.info().workflow_id.clone(),
        way: import.way,
        rows_asked: import.rows,
        outcome,
        rows,
        problem,
    }
}

/// Cancels the first workflow that says whom it waits for.
async fn cancel_one<W>(started: &[(WorkflowHandle<Client, W>, Import)]) -> Option<Cancelled>
where
    W: HasWorkflowDefinition<Output = u32>,
{
    let give_up = Instant::now() + Duration::from_secs(60);
    while Instant::now() < give_up {
        for (handle, _) in started.iter().rev() {
            let Some(message) = waits(handle).await else {
                continue;
            };
            let options = WorkflowCancelOptions::builder().reason("no longer wanted");
            if handle.cancel(options.build()).await.is_err() {
                continue;
            }
            // The message may be a second old: one that was granted meanwhile completes all the same.
            let result = handle.get_result(WorkflowGetResultOptions::default()).await;
            if matches!(result, Err(WorkflowGetResultError::Cancelled { .. })) {
                let workflow = handle.info().workflow_id.clone();
                println!("cancelled {workflow}: {message}");
                return Some(Cancelled { workflow, message });
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
    None
}

/// What the workflow's activity recorded while it waits.
async fn waits<W>(handle: &WorkflowHandle<Client, W>) -> Option<String>
where
    W: HasWorkflowDefinition<Output = u32>,
{
    let described = handle
        .describe(WorkflowDescribeOptions::default())
        .await
        .ok()?;
    let activity = described
        .raw_description
        .pending_activities
        .into_iter()
        .next()?;
    let details = activity.heartbeat_details?.payloads.into_iter().next()?;
    let message: String = serde_json::from_slice(&details.data).ok()?;
    // Not before the first holders: at the start of a Sentinel cluster nobody is granted anything yet.
    let itself = format!("{}/", handle.info().workflow_id);
    let waits = message.starts_with("waiting for")
        && message.contains("held by")
        && !message.contains(&itself);
    waits.then_some(message)
}

fn show(report: &Report) {
    let end = (report.seconds * 1000.0) as u64;
    println!("\n{}", timeline::draw(&report.record.holdings, end));
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    for ended in &report.workflows {
        *outcomes.entry(ended.outcome).or_default() += 1;
        if let Some(problem) = &ended.problem {
            println!("{} failed: {problem}", ended.workflow);
        }
    }
    for (outcome, count) in outcomes {
        println!("{count} {outcome}");
    }
    let most = report
        .record
        .holdings
        .iter()
        .map(|holding| holding.holders)
        .max();
    println!(
        "at most {} of {} holders in a warehouse, {} rows, {} refused",
        most.unwrap_or(0),
        report.limit,
        report.record.rows.len(),
        report.record.refused
    );
}

async fn measure(client: &Client, settings: &Settings, times: u32) -> Result<(), Box<dyn Error>> {
    let options = WorkflowStartOptions::new(settings.task_queue.clone(), "measure").build();
    let handle = client
        .start_workflow(MeasureWorkflow::run, times, options)
        .await?;
    handle
        .get_result(WorkflowGetResultOptions::default())
        .await?;
    Ok(())
}
