//! The gate of strict mode: after a failover or restart nothing new is granted until every lease
//! from before has lapsed.
//!
//! Steps, named as the scripts and the model name them: `gate_claim` writes that this incarnation
//! is pending; `confirm` waits until a majority of the data nodes has that, after which a deposed
//! master can confirm nothing; `gate_open` sets the time from which on grants are given.

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
pub(crate) async fn attend(mut topology: watch::Receiver<State>, longest: Duration) {
    loop {
        let link = match &*topology.borrow_and_update() {
            State::Ready(link) if link.gate.is_some() => Some(link.clone()),
            _ => None,
        };
        if let Some(link) = link {
            while !link.ending().has_ended() {
                match open(&link, longest).await {
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
pub(crate) async fn open(link: &Link, longest: Duration) -> Result<Gate, Failure> {
    let Some(key) = &link.gate else {
        return Ok(Gate::OpenIn(Duration::ZERO));
    };
    let _one_at_a_time = link.opening_gate.lock().await;
    let claim = Call::new(&GATE_CLAIM)
        .key(key)
        .argument(&link.incarnation.replication_id)
        .argument(longest.as_millis())
        .argument(link.data_nodes())
        .argument(link.epoch())
        .argument(u8::from(link.confirms()));
    let (claimed, confirmed) = link.call_confirmed(claim).await?;
    let claimed = Answer::parse(&claimed).map_err(|unexpected| link.unexpected(unexpected))?;
    match claimed.code {
        1 => return Ok(claimed.opens(link)),
        0 => {}
        _ => return Ok(Gate::OtherIncarnation),
    }
    // The record may know of more data nodes than this client has seen.
    let recorded = usize::try_from(claimed.number).unwrap_or(usize::MAX);
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
    let opened = Answer::parse(&opened).map_err(|unexpected| link.unexpected(unexpected))?;
    match opened.code {
        1 if confirmed.by_majority() => {
            telemetry::gate_closed(link, opened.remaining());
            Ok(opened.opens(link))
        }
        1 | -2 => Ok(Gate::Unconfirmed),
        _ => Ok(Gate::OtherIncarnation),
    }
}

/// The reply of `gate_claim.lua` and `gate_open.lua`.
pub(crate) struct Answer {
    code: i64,
    number: u64,
    longest: Duration,
}

impl Answer {
    pub(crate) fn parse(reply: &redis::Value) -> Result<Self, Unexpected> {
        let items = reply::array(reply)?;
        let number = |at: usize| -> Result<u64, Unexpected> {
            let number = items.get(at).map(reply::integer).transpose()?;
            Ok(u64::try_from(number.unwrap_or_default()).unwrap_or_default())
        };
        Ok(Self {
            code: reply::integer(reply::item(items, 0)?)?,
            number: number(1)?,
            longest: Duration::from_millis(number(2)?),
        })
    }

    fn remaining(&self) -> Duration {
        Duration::from_millis(self.number)
    }

    /// The gate has a time from which on it is open; the link remembers if that is now.
    fn opens(&self, link: &Link) -> Gate {
        let is_open = self.number == 0;
        link.set_open_gate(is_open.then_some(self.longest));
        Gate::OpenIn(self.remaining())
    }
}
