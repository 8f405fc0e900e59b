//! A worker: start as many as you like, each with the same `.env`.

mod measure;
mod settings;
mod stopwatch;
mod store;
mod workflows;

use std::error::Error;
use std::io::IsTerminal;
use std::time::Duration;

use leasehold::Locker;
use leasehold_temporal::{ActivityLocks, LockActivities, NeedsLock};
use temporalio_sdk::{Runtime, Worker, WorkerOptions};

use measure::{MeasureWorkflow, Touch};
use settings::Settings;
use stopwatch::Stopwatch;
use workflows::{ImportWorkflow, LIMIT, Warehouse};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(filter())
        .init();
    let settings = Settings::read()?;
    let locker = Locker::from_env().await?;
    let locks = ActivityLocks::new(locker.clone())
        .needs_lock(
            Warehouse::load,
            NeedsLock::new("warehouse-{0.warehouse}").max_locks(LIMIT),
        )?
        .needs_lock(Touch::touch_locked, NeedsLock::new("touch-{run_id}"))?;
    let stopwatch = Stopwatch::default();
    let options = WorkerOptions::new(settings.task_queue.clone())
        .activity_inbound_interceptor(stopwatch.clone())
        .activity_inbound_interceptor(locks.clone())
        .register_workflow::<ImportWorkflow>()?
        .register_workflow::<MeasureWorkflow>()?
        .register_activities(Warehouse {
            locks: locks.clone(),
            store_address: settings.store_address.clone(),
            worker: settings.worker.clone(),
        })
        .register_activities(LockActivities::new(locks))
        .register_activities(Touch)
        // Activities that wait for a lock are cancelled then, and those at work a little later.
        .graceful_shutdown_period(Duration::from_secs(2))
        .build();
    let runtime = Runtime::from_current_tokio(Default::default())?;
    let mut worker = Worker::new(&runtime, settings.client().await?, options)?;
    tokio::spawn(stop_on_signal(worker.shutdown_handle()));
    eprintln!(
        "{} is ready, locking {}",
        settings.worker,
        if locker.is_enabled() {
            "enabled"
        } else {
            "DISABLED"
        }
    );
    worker.run().await?;
    eprint!("{}", stopwatch.report());
    locker.close(Duration::from_secs(10)).await?;
    Ok(())
}

async fn stop_on_signal(stop: impl Fn()) {
    let mut terminated =
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(terminated) => terminated,
            Err(error) => return eprintln!("no signals: {error}"),
        };
    tokio::select! {
        _ = terminated.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    stop();
}

fn filter() -> tracing_subscriber::EnvFilter {
    tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| "warn,leasehold=info,leasehold_temporal=info".into())
}
