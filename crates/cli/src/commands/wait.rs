//! `leasehold wait`: until a resource is free, without taking it.

use std::time::Duration;

use leasehold::config::parse_duration;
use tokio::time::{Instant, sleep};

use super::document;
use crate::connect::Source;
use crate::exit::{self, Failure};
use crate::output::{Output, plain};

/// Wait until a resource is free, without taking it
///
/// Ends with 0 once it is free and with 75 if it is still held after --timeout.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The name of the resource
    resource: String,
    /// How long to wait; without it, for ever
    #[arg(long, short, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<Duration>,
}

/// How soon a release is seen.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(crate) async fn main(
    arguments: &Arguments,
    source: &Source,
    output: Output,
) -> Result<u8, Failure> {
    let resource = arguments.resource.as_str();
    let until = arguments.timeout.map(|limit| Instant::now() + limit);
    let (_, locker) = source.onlooker().await?;
    loop {
        let holder = match locker.inspect(resource).await {
            Ok(holder) => holder,
            // A failover ends, and the wait goes on.
            Err(error) if error.is_retryable() && until.is_none_or(|at| at > Instant::now()) => {
                sleep(LOOK_EVERY).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let Some(holder) = holder else {
            if output.json {
                output.document(&document(resource, None));
            }
            return Ok(exit::OK);
        };
        if until.is_some_and(|at| at <= Instant::now()) {
            let owner = super::owner(&holder);
            let message = format!("`{}` is still held by {owner}", plain(resource));
            return Err(Failure::new(exit::BUSY, message));
        }
        // A lock that expires is seen at that very moment.
        let left = holder.remaining.unwrap_or(LOOK_EVERY).min(LOOK_EVERY);
        sleep(left + Duration::from_millis(1)).await;
    }
}
