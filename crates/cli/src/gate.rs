//! The gate's record of strict mode in Redis, read without claiming anything.

use std::time::Duration;

use leasehold::config::{Endpoint, Locking, Safety, Topology};
use leasehold::probe::{Answer, Hop, Probe};
use leasehold::{Cause, Config, Unavailable};
use serde_json::{Value, json};

use crate::duration::shown;
use crate::output::plain;
use crate::servers::{field, masters, views};

const FIELDS: [&str; 10] = [
    "incarnation",
    "open_from",
    "longest",
    "reason",
    "data_nodes",
    "epoch",
    "was_open",
    "claimed_by",
    "claimed_at",
    "hold_until",
];

/// What the record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// The `master_replid` of the master that it is for.
    pub(crate) incarnation: String,
    pub(crate) open_from_ms: Option<u64>,
    /// The longest lease that the clients agreed on.
    pub(crate) longest: Duration,
    /// Why there was a pause.
    pub(crate) reason: Option<String>,
    /// The most data nodes that were ever known.
    pub(crate) data_nodes: usize,
    /// Sentinel's epoch at the claim.
    pub(crate) epoch: u64,
    /// The gate was opened at once.
    pub(crate) was_open: bool,
    pub(crate) claimed_by: Option<String>,
    pub(crate) claimed_at_ms: Option<u64>,
    /// Until then grants are held back for as long as the clocks of the data nodes may differ.
    pub(crate) hold_until_ms: Option<u64>,
}

/// Whether new leases are granted, by the record of one master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// No locker in strict mode has been here.
    NoRecord,
    /// The record is of an earlier master: the next locker claims the gate.
    Unclaimed,
    /// A locker has claimed the gate, and the claim is not confirmed yet.
    Pending,
    Closed {
        remaining: Duration,
    },
    Open,
}

/// The record, how the gate stands by it, and the server's time in ms since 1970.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    pub(crate) state: State,
    pub(crate) record: Option<Record>,
    pub(crate) now_ms: u64,
}

impl Gate {
    /// Reads the record of a master. It writes nothing and claims nothing.
    pub(crate) async fn read(probe: &Probe, config: &Config) -> Result<Self, Unavailable> {
        let key = format!("{}leasehold:gate", config.lock.key_prefix);
        let mut asked = vec!["HMGET", key.as_str()];
        asked.extend(FIELDS);
        let record = read_record(&probe.ask(&asked).await?);
        let replication = probe.ask(&["INFO", "replication"]).await?;
        let replication = replication.text().unwrap_or_default();
        let now_ms = read_time(&probe.ask(&["TIME"]).await?);
        let master = field(&replication, "master_replid").unwrap_or_default();
        Ok(Self {
            state: state(record.as_ref(), &master, now_ms),
            record,
            now_ms,
        })
    }

    /// For people, on one line.
    pub(crate) fn described(&self) -> String {
        let mut told = match &self.state {
            State::NoRecord => return "no record yet: the first locker writes it".to_owned(),
            State::Unclaimed => {
                return "closed: the record is of an earlier master, and the next locker claims the gate"
                    .to_owned();
            }
            State::Pending => "closed until a majority of the data nodes has the claim".to_owned(),
            State::Closed { remaining } => format!("closed for another {}", shown(*remaining)),
            State::Open => return "open".to_owned(),
        };
        let Some(record) = &self.record else {
            return told;
        };
        if let Some(reason) = &record.reason {
            told.push_str(&format!(" ({})", plain(reason)));
        }
        if let Some(owner) = &record.claimed_by {
            told.push_str(&format!("; claimed by {}", plain(owner)));
            if let Some(at) = record.claimed_at_ms {
                let ago = Duration::from_millis(self.now_ms.saturating_sub(at));
                told.push_str(&format!(" {} ago", shown(ago)));
            }
        }
        told
    }

    pub(crate) fn document(&self) -> Value {
        let (state, remaining) = match &self.state {
            State::NoRecord => ("no record", None),
            State::Unclaimed => ("unclaimed", None),
            State::Pending => ("pending", None),
            State::Closed { remaining } => ("closed", Some(*remaining)),
            State::Open => ("open", None),
        };
        let record = self.record.as_ref();
        json!({
            "state": state,
            "opens_in_ms": remaining.map(|remaining| u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX)),
            "reason": record.and_then(|record| record.reason.clone()),
            "claimed_by": record.and_then(|record| record.claimed_by.clone()),
            "claimed_at_ms": record.and_then(|record| record.claimed_at_ms),
            "hold_until_ms": record.and_then(|record| record.hold_until_ms),
            "epoch": record.map(|record| record.epoch),
        })
    }
}

/// The gate of the present master, or why it is not known; `None` where there is none.
pub(crate) type Looked = Option<Result<Gate, String>>;

/// Finds the master, and reads its gate.
pub(crate) async fn look(config: &Config) -> Looked {
    if config.lock.safety != Safety::Strict {
        return None;
    }
    let Locking::Enabled(topology) = &config.locking else {
        return None;
    };
    let master = match topology {
        Topology::Standalone(standalone) => standalone.endpoint.clone(),
        Topology::Sentinel(sentinels) => {
            let views = views(topology, sentinels).await;
            match <[Endpoint; 1]>::try_from(masters(&views, sentinels)) {
                Ok([master]) => master,
                Err(named) if named.is_empty() => {
                    return Some(Err("no Sentinel names a master".to_owned()));
                }
                Err(_) => return Some(Err("the Sentinels name different masters".to_owned())),
            }
        }
        _ => return None,
    };
    Some(look_at(config, topology, &master).await)
}

async fn look_at(config: &Config, topology: &Topology, master: &Endpoint) -> Result<Gate, String> {
    let probe = Probe::open(topology, Hop::Node, master).await;
    let probe = probe.map_err(|error| unknown(&error))?;
    let gate = Gate::read(&probe, config).await;
    gate.map_err(|error| unknown(&error))
}

/// Why a gate is not known.
pub(crate) fn unknown(error: &Unavailable) -> String {
    match error.cause() {
        Cause::NoPermission { detail } => {
            format!("this user may not read its record ({detail}); give it +hmget, +info and +time")
        }
        _ => error.to_string(),
    }
}

/// For people, on one line.
pub(crate) fn described(looked: &Result<Gate, String>) -> String {
    match looked {
        Ok(gate) => gate.described(),
        Err(reason) => format!("not known: {}", plain(reason)),
    }
}

/// What people should know before they look at locks: that the gate is not open.
pub(crate) fn remark(looked: &Looked) -> Option<String> {
    match looked.as_ref()? {
        Ok(gate) if matches!(gate.state, State::Open | State::NoRecord) => None,
        looked => Some(format!("gate of strict mode: {}", described(looked))),
    }
}

/// As JSON: `null` without a gate.
pub(crate) fn document(looked: &Looked) -> Value {
    match looked {
        None => Value::Null,
        Some(Ok(gate)) => gate.document(),
        Some(Err(reason)) => json!({ "state": "not known", "reason": reason }),
    }
}

fn state(record: Option<&Record>, master: &str, now_ms: u64) -> State {
    let Some(record) = record else {
        return State::NoRecord;
    };
    if record.incarnation != master {
        return State::Unclaimed;
    }
    let Some(open_from) = record.open_from_ms else {
        return State::Pending;
    };
    match Duration::from_millis(open_from.saturating_sub(now_ms)) {
        Duration::ZERO => State::Open,
        remaining => State::Closed { remaining },
    }
}

fn read_record(answer: &Answer) -> Option<Record> {
    let text = |name: &str| {
        let at = FIELDS.iter().position(|field| *field == name)?;
        answer.items().get(at)?.text()
    };
    let number = |name: &str| text(name)?.parse::<u64>().ok();
    Some(Record {
        incarnation: text("incarnation")?,
        open_from_ms: number("open_from"),
        longest: Duration::from_millis(number("longest")?),
        reason: text("reason").filter(|reason| !reason.is_empty()),
        data_nodes: usize::try_from(number("data_nodes").unwrap_or_default()).unwrap_or(0),
        epoch: number("epoch").unwrap_or_default(),
        was_open: text("was_open").as_deref() == Some("1"),
        claimed_by: text("claimed_by").filter(|owner| !owner.is_empty()),
        claimed_at_ms: number("claimed_at"),
        hold_until_ms: number("hold_until"),
    })
}

/// The server's time in ms since 1970.
fn read_time(answer: &Answer) -> u64 {
    let part = |at: usize| {
        let text = answer.items().get(at).and_then(Answer::text);
        text.and_then(|text| text.parse::<u64>().ok())
            .unwrap_or_default()
    };
    part(0) * 1000 + part(1) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(open_from: Option<&str>) -> Gate {
        let text = |text: &str| Answer::Text(text.to_owned());
        let open_from = open_from.map_or(Answer::Nil, text);
        let answer = Answer::List(vec![
            text("life"),
            open_from,
            text("30000"),
            text("a node was restarted"),
            text("3"),
            text("7"),
            Answer::Nil,
            text("worker\u{1b}-1"),
            text("999000"),
            Answer::Nil,
        ]);
        let record = read_record(&answer);
        Gate {
            state: state(record.as_ref(), "life", 1_000_000),
            record,
            now_ms: 1_000_000,
        }
    }

    #[test]
    fn a_closed_gate_tells_until_when_and_why_and_who_claimed_it() {
        let told = gate(Some("1012300")).described();
        let expected =
            "closed for another 12.3s (a node was restarted); claimed by worker\\u{1b}-1 1.0s ago";
        assert_eq!(told, expected);
        assert_eq!(gate(Some("999999")).state, State::Open);
        assert_eq!(gate(None).state, State::Pending);
    }

    #[test]
    fn a_record_of_another_master_is_no_open_gate() {
        let record = gate(Some("1")).record;
        assert_eq!(state(record.as_ref(), "another", 2), State::Unclaimed);
        assert_eq!(state(None, "another", 2), State::NoRecord);
    }
}
