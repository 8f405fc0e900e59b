//! Who stands in the way, told while waiting.

use std::convert::Infallible;
use std::time::Duration;

use leasehold::Locker;
use tokio::time::{Instant, sleep};

use crate::duration::shown;
use crate::output::{Output, plain};

/// A wait shorter than this is not worth a word.
const PATIENCE: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_secs(1);
const REPEAT_AFTER: Duration = Duration::from_secs(60);

/// Says who holds the resource, when that changes and once a minute. Never returns.
pub(crate) async fn tell(locker: &Locker, resource: &str, output: Output) -> Infallible {
    if output.quiet {
        std::future::pending::<()>().await;
    }
    let since = Instant::now();
    let mut told: Option<(String, Instant)> = None;
    sleep(PATIENCE).await;
    loop {
        if let Ok(Some(holder)) = locker.inspect(resource).await {
            let owner = holder.owner.unwrap_or_else(|| "someone".to_owned());
            let is_news = told
                .as_ref()
                .is_none_or(|(known, at)| *known != owner || at.elapsed() >= REPEAT_AFTER);
            if is_news {
                output.note(&format!(
                    "waiting for `{}` since {}: held by {}",
                    plain(resource),
                    shown(since.elapsed()),
                    plain(&owner),
                ));
                told = Some((owner, Instant::now()));
            }
        }
        sleep(LOOK_EVERY).await;
    }
}
