//! Why a command waits, said while it waits.

use std::convert::Infallible;
use std::time::Duration;

use leasehold::{Error, Holder, Locker};
use tokio::time::{Instant, sleep};

use crate::commands::{holders, owner};
use crate::duration::shown;
use crate::output::{Output, plain};

/// A shorter wait is not reported.
const REPORT_AFTER: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_secs(1);
const REPEAT_AFTER: Duration = Duration::from_secs(60);

/// More holders of slots than this are counted instead of named.
const NAMED: usize = 3;

/// Says who holds the resource or its slots, or why else nothing is granted, when that changes and once a
/// minute. Never returns.
pub(crate) async fn tell(
    locker: &Locker,
    resource: &str,
    slots: Option<usize>,
    output: Output,
) -> Infallible {
    if output.quiet {
        std::future::pending::<()>().await;
    }
    let since = Instant::now();
    let mut told: Option<(String, Instant)> = None;
    sleep(REPORT_AFTER).await;
    loop {
        if let Some(reason) = look(locker, resource, slots).await {
            let is_news = told
                .as_ref()
                .is_none_or(|(known, at)| *known != reason.id || at.elapsed() >= REPEAT_AFTER);
            if is_news {
                output.note(&format!(
                    "waiting for `{}` since {}: {}",
                    plain(resource),
                    shown(since.elapsed()),
                    reason.text,
                ));
                told = Some((reason.id, Instant::now()));
            }
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Why the command waits.
struct Reason {
    /// Tells one reason from the next.
    id: String,
    text: String,
}

async fn look(locker: &Locker, resource: &str, slots: Option<usize>) -> Option<Reason> {
    let met = match slots {
        None => locker.obstacle(resource).ok()?,
        Some(limit) => locker.slots(resource, limit).ok()?.obstacle(),
    };
    match met {
        Some(Error::GateClosed(gate)) => Some(Reason {
            id: format!("gate {}", gate.epoch),
            text: plain(&gate.to_string()),
        }),
        Some(error) if !matches!(error, Error::Held(_)) => {
            let text = plain(&format!("{error:?}"));
            Some(Reason {
                id: text.clone(),
                text,
            })
        }
        _ => {
            let found = holders(locker, resource, slots).await.unwrap_or_default();
            // Where a slot is free, the wait is about to end.
            let found: Vec<&Holder> = found.iter().map(Option::as_ref).collect::<Option<_>>()?;
            let ids: Vec<&str> = found.iter().filter_map(|one| one.id.as_deref()).collect();
            (!found.is_empty()).then(|| Reason {
                id: ids.join(" "),
                text: held_by(&found),
            })
        }
    }
}

/// `held by one for 12.0s; 2 waiting`, or `3 slots held by one, two, three; 2 waiting`.
fn held_by(holders: &[&Holder]) -> String {
    let mut text = match holders {
        [one] => format!("held by {}", owner(one)),
        several => {
            let named: Vec<String> = several.iter().take(NAMED).map(|one| owner(one)).collect();
            let rest = several.len().saturating_sub(NAMED);
            let more = if rest > 0 {
                format!(" and {rest} more")
            } else {
                String::new()
            };
            format!("{} slots held by {}{more}", several.len(), named.join(", "))
        }
    };
    let first = holders.first();
    if let Some(held_for) = first.and_then(|holder| holder.held_for) {
        text.push_str(&format!(" for {}", shown(held_for)));
    }
    if let Some(waiters) = first.and_then(|holder| holder.waiters) {
        text.push_str(&format!("; {waiters} waiting"));
    }
    text
}
