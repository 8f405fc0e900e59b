//! A job that every machine of a fleet starts at the same time, and that one of them runs.
//!
//! ```sh
//! IS_LOCKING_DISABLED=false REDIS_HOST=127.0.0.1 cargo run --example cron -- nightly-report 2026-11-21
//! ```
//!
//! The second word names the occasion; from cron it is `$(date -u +%F)` or `$(date -u +%FT%H)`. Each
//! occasion is a resource of its own. Whoever has done it leaves the lock to its TTL instead of
//! releasing it, so that a machine whose clock is a little behind finds it held and does not run the
//! job again. So the TTL must be longer than the clocks differ.

use std::process::ExitCode;

use leasehold::{Error, Locker};

/// What became of the occasion on this machine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// This machine did it.
    Here,
    /// Another does it or has done it.
    Elsewhere,
    /// It failed here; the lock is free, so that another machine may try.
    Failed,
}

/// Runs `job` unless another machine of the fleet does.
pub(crate) async fn once(
    locker: &Locker,
    name: &str,
    occasion: &str,
    job: impl AsyncFnOnce(&leasehold::Lease) -> bool,
) -> Result<Ran, Error> {
    let lease = match locker.try_acquire(format!("cron:{name}:{occasion}")).await {
        Ok(lease) => lease,
        Err(Error::Held(_)) => return Ok(Ran::Elsewhere),
        Err(error) => return Err(error),
    };
    // If the lease is lost, the job is dropped where it stands: another machine may have begun.
    let is_done = tokio::select! {
        is_done = job(&lease) => is_done,
        reason = lease.lost() => {
            eprintln!("stopped: {reason}");
            return Ok(Ran::Failed);
        }
    };
    if !is_done {
        lease.release().await?;
        return Ok(Ran::Failed);
    }
    // Ends this side and leaves the key; nobody is given the ticket.
    let _unused = lease.into_ticket();
    Ok(Ran::Here)
}

#[tokio::main]
async fn main() -> Result<ExitCode, Error> {
    let mut words = std::env::args().skip(1);
    let (Some(name), Some(occasion)) = (words.next(), words.next()) else {
        eprintln!("usage: cron NAME OCCASION");
        return Ok(ExitCode::from(2));
    };
    let locker = Locker::from_env().await?;
    let ran = once(&locker, &name, &occasion, async |lease| {
        println!("running {name} of {occasion} with fence {}", lease.fence());
        true
    })
    .await?;
    println!("{ran:?}");
    Ok(match ran {
        Ran::Here | Ran::Elsewhere => ExitCode::SUCCESS,
        Ran::Failed => ExitCode::FAILURE,
    })
}
