//! The gate of strict mode: after a failover or restart nothing new is granted until every lease
//! from before has lapsed.
//!
//! Steps, named as the scripts and the model name them: `gate_claim` writes that this incarnation
//! is pending; `confirm` waits until a majority of the data nodes has that, after which a deposed
//! master can confirm nothing; `gate_open` sets the time from which on grants are given.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::classify::Failure;
use super::link::Link;
use super::reply::{self, Unexpected};
use super::script::{Call, GATE_CLAIM, GATE_OPEN};
use super::topology::State;
use crate::telemetry;
use crate::unavailable::Cause;

const PAUSE: Duration = Duration::from_millis(100);

/// How the gate stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Open after so long; at once if zero.
    OpenIn(Duration),
    /// The claim is on too few data nodes as yet.
    Unconfirmed,
    /// The node turned out to be another incarnation than the link was made for.
    OtherIncarnation,
}

/// Claims the gate of every new incarnation as soon as there is a link to it, so that the time for
/// which it stays closed begins with the failover and not with the first one who asks.
pub(crate) async fn attend(mut topology: watch::Receiver<State>, key: Arc<str>, longest: Duration) {
    loop {
        let link = match &*topology.borrow_and_update() {
            State::Ready(link) if link.is_gated => Some(link.clone()),
            _ => None,
        };
        if let Some(link) = link {
            while !link.ending().has_ended() {
                match open(&link, &key, longest).await {
                    Ok(Gate::OpenIn(_)) => break,
                    Ok(Gate::OtherIncarnation) => link.ending().end(Cause::NotMasterYet),
                    Ok(Gate::Unconfirmed) | Err(_) => sleep(PAUSE).await,
                }
            }
        }
        if topology.changed().await.is_err() {
            return;
        }
    }
}

/// Claims the gate of the link's incarnation and opens it as far as time allows.
///
/// Cancel safe: every step may be repeated by anyone.
pub(crate) async fn open(link: &Link, key: &str, longest: Duration) -> Result<Gate, Failure> {
    let _one_at_a_time = link.opening_gate.lock().await;
    let claim = Call::new(&GATE_CLAIM)
        .key(key)
        .argument(&link.incarnation.replication_id)
        .argument(longest.as_millis())
        .argument(link.data_nodes())
        .argument(link.epoch())
        .argument(u8::from(link.confirms()));
    let (claimed, confirmed) = link.call_confirmed(claim).await?;
    let (code, number) = code_and_number(link, &claimed)?;
    match code {
        1 => return Ok(Gate::OpenIn(number)),
        0 => {}
        _ => return Ok(Gate::OtherIncarnation),
    }
    // The record may know of more data nodes than this client has seen.
    let recorded = usize::try_from(number.as_millis()).unwrap_or(usize::MAX);
    if link.confirms() && recorded > confirmed.data_nodes {
        link.at_least_data_nodes(recorded);
        return Ok(Gate::Unconfirmed);
    }
    if !confirmed.by_majority() {
        return Ok(Gate::Unconfirmed);
    }

    let opening = Call::new(&GATE_OPEN)
        .key(key)
        .argument(&link.incarnation.replication_id);
    let (opened, confirmed) = link.call_confirmed(opening).await?;
    let (code, closed_for) = code_and_number(link, &opened)?;
    match code {
        1 if confirmed.by_majority() => {
            telemetry::gate_closed(link, closed_for);
            Ok(Gate::OpenIn(closed_for))
        }
        1 | -2 => Ok(Gate::Unconfirmed),
        _ => Ok(Gate::OtherIncarnation),
    }
}

fn code_and_number(link: &Link, reply: &redis::Value) -> Result<(i64, Duration), Failure> {
    parse(reply).map_err(|unexpected| link.unexpected(unexpected))
}

pub(crate) fn parse(reply: &redis::Value) -> Result<(i64, Duration), Unexpected> {
    let items = reply::array(reply)?;
    let code = reply::integer(reply::item(items, 0)?)?;
    let number = items
        .get(1)
        .map(reply::integer)
        .transpose()?
        .unwrap_or_default();
    let duration = Duration::from_millis(u64::try_from(number).unwrap_or_default());
    Ok((code, duration))
}
