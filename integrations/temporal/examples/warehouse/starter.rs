//! Runs the warehouses' store, starts workflows that import into them, and draws who held what when.

mod cancelling;
mod ledger;
mod measure;
mod settings;
mod store;
mod timeline;
mod workflows;

use std::collections::BTreeMap;
use std::error::Error;
use std::future::pending;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde::Serialize;
use temporalio_client::errors::WorkflowGetResultError;
use temporalio_client::{Client, WorkflowGetResultOptions, WorkflowHandle, WorkflowStartOptions};
use temporalio_common::HasWorkflowDefinition;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::task::JoinHandle;

use cancelling::Cancelled;
use ledger::{Ledger, Record};
use measure::{MeasureWorkflow, Measurement};
use settings::{Settings, variable};
use workflows::{Import, ImportWorkflow, Way};

/// With `STEPS`, as many are kept at work until the last step.
const BUSY: usize = 12;

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
    let client = settings.client().await?;
    let seconds: u32 = variable("MEASURE", "0")?;
    if seconds > 0 {
        return measure(&client, &settings, seconds).await;
    }
    let ledger = Ledger::open(&settings.store_address)?;
    let (workflows, cancelled) = run_all(&client, &settings).await?;
    let report = Report {
        limit: workflows::LIMIT,
        seconds: ledger.started.elapsed().as_secs_f64(),
        workflows,
        cancelled,
        record: ledger.record(),
    };
    show(&report);
    if let Ok(path) = std::env::var("REPORT") {
        std::fs::write(path, serde_json::to_string_pretty(&report)?)?;
    }
    Ok(())
}

/// Starts `WORKFLOWS` workflows and waits until all have ended.
///
/// With `STEPS=true` it obeys the lines of its standard input: after `cancel` it cancels a workflow
/// that waits, and until `enough` it replaces workflows that have ended.
async fn run_all(
    client: &Client,
    settings: &Settings,
) -> Result<(Vec<Ended>, Option<Cancelled>), Box<dyn Error>> {
    let workflows: usize = variable("WORKFLOWS", "50")?;
    let mut has_steps: bool = variable("STEPS", "false")?;
    let mut steps = lines_of_stdin();
    let mut cancelling = None;
    let (mut endings, mut cancelled) = (Vec::new(), None);
    let mut running = FuturesUnordered::new();
    let mut started = 0;
    loop {
        while started < workflows || (has_steps && running.len() < BUSY) {
            running.push(start(client, settings, started).await?);
            started += 1;
            if started == workflows {
                println!("{workflows} workflows started");
            }
        }
        tokio::select! {
            Some(ended) = running.next() => endings.push(ended),
            done = joined(&mut cancelling) => {
                let (unwanted, found) = done?;
                cancelling = None;
                endings.extend(unwanted);
                cancelled = found;
            }
            step = steps.recv(), if has_steps => match step.as_deref() {
                Some("cancel") => {
                    let cancels = cancelling::cancel_one(client.clone(), settings.clone());
                    cancelling = Some(tokio::spawn(cancels));
                }
                _ => has_steps = false,
            },
        }
        if running.is_empty() && cancelling.is_none() && !has_steps {
            break;
        }
    }
    Ok((endings, cancelled))
}

/// Read in a thread of its own, which does not hold up the program's end.
fn lines_of_stdin() -> UnboundedReceiver<String> {
    let (sender, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    lines
}

/// The outcome of a task, if there is one.
async fn joined<T>(task: &mut Option<JoinHandle<Result<T, String>>>) -> Result<T, Box<dyn Error>> {
    match task {
        Some(task) => Ok(task.await??),
        None => pending().await,
    }
}

/// Starts one workflow; the future ends when it does.
async fn start(
    client: &Client,
    settings: &Settings,
    index: usize,
) -> Result<impl Future<Output = Ended>, Box<dyn Error>> {
    let warehouses: usize = variable("WAREHOUSES", "5")?;
    let import = Import {
        warehouse: index % warehouses,
        rows: variable("ROWS", "10")?,
        way: way(index),
    };
    let id = format!("import-{index}");
    let options = WorkflowStartOptions::new(settings.task_queue.clone(), id).build();
    let run = ImportWorkflow::run;
    let handle = client.start_workflow(run, import.clone(), options).await?;
    Ok(async move { ended(&handle, &import).await })
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

async fn measure(client: &Client, settings: &Settings, seconds: u32) -> Result<(), Box<dyn Error>> {
    let options = WorkflowStartOptions::new(settings.task_queue.clone(), "measure").build();
    let most = Measurement {
        pairs: 200,
        time: Duration::from_secs(seconds.into()),
    };
    let handle = client
        .start_workflow(MeasureWorkflow::run, most, options)
        .await?;
    handle
        .get_result(WorkflowGetResultOptions::default())
        .await?;
    Ok(())
}
