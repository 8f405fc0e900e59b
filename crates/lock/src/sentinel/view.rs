//! What one Sentinel says about a master, read so that address and epoch belong together.
//!
//! During a failover `SENTINEL MASTER` pairs the *old* address with the *new* epoch, so the address
//! comes from `GET-MASTER-ADDR-BY-NAME`, asked between two `SENTINEL MASTER`, and counts only if
//! both of these report the same epoch.

use std::time::Duration;

use leasehold_config::Endpoint;
use redis::{Pipeline, Value};

use crate::protocol::reply;
use crate::transport::connection::pipeline;
use crate::transport::server_errors;
use crate::unavailable::Cause;

/// More than any group of Sentinels has: the rest is not read.
const MOST_LISTED: usize = 100;

/// One Sentinel's view of the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    /// The Sentinel's own identifier; the same Sentinel reached by two names counts once.
    pub(crate) sentinel_id: Option<String>,
    pub(crate) address: Endpoint,
    pub(crate) epoch: u64,
    pub(crate) other_sentinels: usize,
    pub(crate) replicas: usize,
    pub(crate) down_after: Duration,
    /// The other Sentinels of the same master; `None` where it does not tell.
    pub(crate) listed: Option<Vec<Peer>>,
}

/// Another Sentinel, as one of them lists it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Peer {
    pub(crate) id: String,
    pub(crate) endpoint: Endpoint,
    pub(crate) is_down: bool,
}

pub(crate) fn questions(service: &str) -> Pipeline {
    pipeline(&[
        &["SENTINEL", "MASTER", service],
        &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", service],
        &["SENTINEL", "MASTER", service],
        &["SENTINEL", "MYID"],
        &["SENTINEL", "SENTINELS", service],
        &["SENTINEL", "REPLICAS", service],
    ])
}

/// Reads the answers to [`questions`]. `Ok(None)` means that the Sentinel was just switching.
pub(crate) fn parse(answers: &[Value], service: &str) -> Result<Option<View>, Cause> {
    let [before, address, after, id, others, replicas] = answers else {
        return Err(Cause::Protocol {
            detail: format!("{} answers to 6 questions", answers.len()),
        });
    };
    let before = master(before, service)?;
    let after = master(after, service)?;
    if before.epoch != after.epoch {
        return Ok(None);
    }
    Ok(Some(View {
        sentinel_id: reply::text(id).ok().filter(|id| id.len() == 40),
        address: master_address(address, service)?,
        listed: self::others(others).ok(),
        replicas: after.replicas.saturating_sub(without_port(replicas)),
        ..after
    }))
}

fn master(answer: &Value, service: &str) -> Result<View, Cause> {
    if let Value::ServerError(error) = answer {
        return Err(refusal(error, service));
    }
    let fields = reply::pairs(answer)?;
    let field = |name: &str| {
        let value = fields.iter().find(|(field, _)| field == name);
        value
            .map(|(_, value)| value.as_str())
            .ok_or_else(|| Cause::Protocol {
                detail: format!("SENTINEL MASTER has no {name}"),
            })
    };
    let number = |name: &str| -> Result<u64, Cause> {
        field(name)?.parse().map_err(|_| Cause::Protocol {
            detail: format!("SENTINEL MASTER has no number as {name}"),
        })
    };
    let count = |name: &str| number(name).map(|count| usize::try_from(count).unwrap_or(usize::MAX));
    Ok(View {
        sentinel_id: None,
        address: Endpoint::new(field("ip")?, 0),
        epoch: number("config-epoch")?,
        other_sentinels: count("num-other-sentinels")?,
        replicas: count("num-slaves")?,
        down_after: Duration::from_millis(number("down-after-milliseconds")?),
        listed: None,
    })
}

fn master_address(answer: &Value, service: &str) -> Result<Endpoint, Cause> {
    match answer {
        Value::Nil => Err(Cause::UnknownMaster {
            service: service.to_owned(),
        }),
        Value::ServerError(error) => Err(refusal(error, service)),
        answer => {
            let parts = reply::array(answer)?;
            let host = reply::text(reply::item(parts, 0)?)?;
            let port = reply::text(reply::item(parts, 1)?)?;
            endpoint(&host, &port)
        }
    }
}

/// Reads the answer to `SENTINEL SENTINELS`. One without an address, as after another took it, is
/// left out.
pub(crate) fn others(answer: &Value) -> Result<Vec<Peer>, Cause> {
    let mut others = Vec::new();
    for entry in reply::array(answer)?.iter().take(MOST_LISTED) {
        let fields = reply::pairs(entry)?;
        let field = |name: &str| {
            fields
                .iter()
                .find(|(field, _)| field == name)
                .map_or("", |(_, value)| value.as_str())
        };
        let is_down = field("flags").split(',').any(|flag| flag == "s_down");
        if let Ok(endpoint) = endpoint(field("ip"), field("port")) {
            others.push(Peer {
                id: field("runid").to_owned(),
                endpoint,
                is_down,
            });
        }
    }
    Ok(others)
}

/// How many of the replicas have no port. A Sentinel lists for good a client that once let the master send it the data,
/// such as `redis-cli --rdb`; nobody can make that one a master.
fn without_port(answer: &Value) -> usize {
    // Where it is not told (no permission), all of them count.
    let replicas = reply::array(answer).unwrap_or_default();
    let without_port = |replica: &&Value| {
        let fields = reply::pairs(replica).unwrap_or_default();
        let mut fields = fields.iter();
        fields.any(|(name, value)| name == "port" && value == "0")
    };
    replicas
        .iter()
        .take(MOST_LISTED)
        .filter(without_port)
        .count()
}

fn endpoint(host: &str, port: &str) -> Result<Endpoint, Cause> {
    let plausible = !host.is_empty() && host.len() <= 255 && !host.chars().any(char::is_control);
    match port.parse::<u16>() {
        Ok(port @ 1..) if plausible => Ok(Endpoint::new(host, port)),
        _ => Err(Cause::Protocol {
            detail: "Sentinel named an impossible address".to_owned(),
        }),
    }
}

fn refusal(error: &redis::ServerError, service: &str) -> Cause {
    let text = error.details().unwrap_or_default();
    if text.contains("No such master") {
        return Cause::UnknownMaster {
            service: service.to_owned(),
        };
    }
    match server_errors::server_error(error) {
        Cause::CommandDisabled { command } if command == "SENTINEL" => Cause::IsNotSentinel,
        cause => cause,
    }
}

#[cfg(test)]
mod tests;
