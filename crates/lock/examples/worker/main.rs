//! A workflow instance. Any number of them may run; one at a time adds a step to the journal.
//!
//! Everything about Redis and the leases comes from the environment and `./.env`, see
//! `.env.example`. `cargo xtask demo` runs four of these against a Sentinel cluster whose master
//! dies meanwhile.

use std::error::Error;
use std::io::{self, IsTerminal};
use std::time::Duration;

use leasehold::{Lease, Locker};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use self::journal::{Answer, Journal};

mod journal;
mod records;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    work().await
}

/// Works until it is told to stop.
pub(crate) async fn work() -> Result<(), Box<dyn Error>> {
    let journal = Journal::at(std::env::var("JOURNAL")?);
    let mut terminated = signal(SignalKind::terminate())?;

    let locker = Locker::from_env().await?;
    loop {
        tokio::select! {
            shift = shift(&locker, &journal) => shift?,
            _ = terminated.recv() => break,
        }
    }
    // Whatever the signal interrupted is given back now rather than when its time is over.
    locker.close(Duration::from_secs(5)).await?;
    Ok(())
}

/// Waits for the lease, works under it, gives it back, and has a rest so that others get a chance.
async fn shift(locker: &Locker, journal: &Journal) -> Result<(), Box<dyn Error>> {
    records::asked();
    let shift = locker.with_lock("journal", async |lease| add_step(lease, journal).await);
    match shift.await {
        Ok(outcome) => outcome?,
        // The lease was lost, and the work under it dropped where it stood. Another instance
        // goes on from the last step that is in the journal.
        Err(error) if error.is_retryable() => records::trouble(&error),
        Err(error) => return Err(error.into()),
    }
    sleep(Duration::from_millis(fastrand::u64(100..300))).await;
    Ok(())
}

/// Reads the last step, works on the next one, and writes it. Two of these at the same time would
/// write the same step twice.
async fn add_step(lease: &Lease, journal: &Journal) -> io::Result<()> {
    let _holding = records::Holding::begin(lease);
    let step = journal.last_step().await? + 1;
    sleep(Duration::from_millis(fastrand::u64(150..350))).await;

    // The fence goes along. If this process was paused between the last check of its lease and
    // this line, only the journal can tell that a later holder has written already.
    match journal.write(lease.fence(), step).await? {
        Answer::Accepted => records::accepted(lease.fence(), step),
        Answer::Refused => records::refused(lease.fence(), step),
    }
    Ok(())
}
