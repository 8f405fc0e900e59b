//! Leader election: of all processes that run this, one leads at a time.
//!
//! ```sh
//! IS_LOCKING_DISABLED=false REDIS_HOST=127.0.0.1 cargo run --example leader
//! ```
//!
//! Start it twice and stop the first with Ctrl-C: the second leads at once. Kill the first with
//! SIGKILL, and the second leads after the TTL.

use std::time::Duration;

use leasehold::{Error, Lease, Locker};
use tokio_util::sync::CancellationToken;

/// Leads whenever it is our turn, until `stop` is cancelled. `lead` is dropped where it stands when
/// the lease is lost, so nothing in it may go on by itself (no detached tasks).
pub(crate) async fn campaign(
    locker: &Locker,
    office: &str,
    stop: &CancellationToken,
    mut lead: impl AsyncFnMut(&Lease),
) -> Result<(), Error> {
    loop {
        // Waits in line behind the present leader, through failovers too.
        let lease = tokio::select! {
            lease = locker.acquire(office) => lease?,
            () = stop.cancelled() => return Ok(()),
        };
        tokio::select! {
            () = lead(&lease) => {}
            () = stop.cancelled() => {}
            reason = lease.lost() => {
                eprintln!("no longer the leader: {reason}");
                continue;
            }
        }
        // Whoever is next need not wait for the TTL. A release that cannot be confirmed goes on in
        // the background.
        if let Err(error) = lease.release().await {
            eprintln!("{error:?}");
        }
        if stop.is_cancelled() {
            return Ok(());
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let locker = Locker::from_env().await?;
    let stop = CancellationToken::new();
    let stopper = stop.clone();
    tokio::spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        stopper.cancel();
    });
    campaign(&locker, "leader", &stop, async |lease| {
        println!("leading with fence {}", lease.fence());
        loop {
            // Each step gives the fence to what it changes, which refuses an older one.
            println!("one step of the leader's work, fence {}", lease.fence());
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
    .await?;
    locker.close(Duration::from_secs(5)).await
}
