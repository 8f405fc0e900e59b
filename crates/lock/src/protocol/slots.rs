//! Which master of a Redis Cluster serves which hash slot.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use leasehold_config::{AddressMap, Endpoint};
use redis::Value;

use crate::protocol::reply::{self, Unexpected, info_field};
use crate::transport::connection::{CloseSignal, Connection, ConnectionSettings};
use crate::unavailable::{Cause, Unavailable};

/// Hash slots of every Redis Cluster.
const SLOTS: u16 = 16_384;

/// The hash slot of a key, by Redis Cluster's specification.
pub(crate) fn slot_of(key: &str) -> u16 {
    let hashed = crate::resource::hash_tag(key).unwrap_or(key);
    crc16::State::<crc16::XMODEM>::calculate(hashed.as_bytes()) % SLOTS
}

/// The masters of a cluster as one of its nodes sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SlotMap {
    /// The cluster's epoch: a view with a greater one is newer.
    epoch: u64,
    ranges: Vec<Range>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Range {
    first: u16,
    last: u16,
    master: Endpoint,
}

impl SlotMap {
    /// The master of a slot.
    pub(crate) fn master_of(&self, slot: u16) -> Option<&Endpoint> {
        let range = self
            .ranges
            .iter()
            .find(|range| (range.first..=range.last).contains(&slot))?;
        Some(&range.master)
    }

    /// The same map after a node said that a slot has moved. The next view replaces it.
    pub(crate) fn moved(&self, slot: u16, to: Endpoint) -> Self {
        let mut moved = self.clone();
        moved.ranges.insert(
            0,
            Range {
                first: slot,
                last: slot,
                master: to,
            },
        );
        moved
    }

    /// Every master, once.
    pub(crate) fn masters(&self) -> Vec<Endpoint> {
        let mut masters: Vec<Endpoint> = self
            .ranges
            .iter()
            .map(|range| range.master.clone())
            .collect();
        masters.sort_unstable();
        masters.dedup();
        masters
    }

    fn covered(&self) -> usize {
        self.ranges
            .iter()
            .map(|range| usize::from(range.last - range.first) + 1)
            .sum()
    }
}

/// Asks all of `nodes` at once and returns the newest of their views.
pub(crate) async fn fetch(
    nodes: &[Endpoint],
    settings: &ConnectionSettings,
    address_map: &AddressMap,
) -> Result<SlotMap, Unavailable> {
    let mut asking: FuturesUnordered<_> = nodes
        .iter()
        .map(|node| ask(node, settings, address_map))
        .collect();
    let mut newest: Option<SlotMap> = None;
    let mut silent = Vec::new();
    while let Some(answer) = asking.next().await {
        match answer {
            Ok(view) => {
                let rank = |view: &SlotMap| (view.epoch, view.covered());
                if newest
                    .as_ref()
                    .is_none_or(|newest| rank(&view) > rank(newest))
                {
                    newest = Some(view);
                }
            }
            Err(unavailable) => {
                let node = unavailable.node().cloned();
                silent.extend(node.map(|node| (node, unavailable.cause().clone())));
            }
        }
    }
    newest.ok_or_else(|| match silent.as_slice() {
        [(node, cause)] => Unavailable::on(node, cause.clone()),
        _ => Unavailable::new(Cause::NoQuorum {
            answered: 0,
            needed: 1,
            silent: silent.into(),
        }),
    })
}

async fn ask(
    node: &Endpoint,
    settings: &ConnectionSettings,
    address_map: &AddressMap,
) -> Result<SlotMap, Unavailable> {
    let connection = Connection::open(node, settings, CloseSignal::default(), |_| {}).await?;
    let questions = [&["CLUSTER", "INFO"][..], &["CLUSTER", "SLOTS"]];
    let limit = Duration::min(settings.command_timeout, Duration::from_secs(1));
    let answers = connection.ask(questions, limit).await;
    let [info, slots] = answers.map_err(|failure| failure.unavailable)?;
    parse(&info, &slots, node, address_map)
        .map_err(|unexpected| Unavailable::on(node, unexpected.into()))
}

pub(crate) fn parse(
    info: &Value,
    slots: &Value,
    asked: &Endpoint,
    address_map: &AddressMap,
) -> Result<SlotMap, Unexpected> {
    let info = reply::text(info)?;
    let epoch = info_field(&info, "cluster_current_epoch").and_then(|epoch| epoch.parse().ok());
    let mut ranges = Vec::new();
    for entry in reply::array(slots)? {
        let entry = reply::array(entry)?;
        let bound = |at| -> Result<u16, Unexpected> {
            let number = reply::integer(reply::item(entry, at)?)?;
            u16::try_from(number)
                .ok()
                .filter(|slot| *slot < SLOTS)
                .ok_or_else(|| Unexpected {
                    detail: format!("expected a hash slot, found {number}"),
                })
        };
        let master = reply::array(reply::item(entry, 2)?)?;
        // A node that does not know its own address leaves it empty.
        let host = match reply::item(master, 0)? {
            Value::Nil => String::new(),
            host => reply::text(host)?,
        };
        let host = if host.is_empty() || host == "?" {
            asked.host().to_owned()
        } else {
            host
        };
        let port = reply::integer(reply::item(master, 1)?)?;
        let port = u16::try_from(port).map_err(|_| Unexpected {
            detail: format!("expected a port, found {port}"),
        })?;
        let (first, last) = (bound(0)?, bound(1)?);
        if first > last {
            return Err(Unexpected {
                detail: format!("expected {first} to be below {last}"),
            });
        }
        let master = address_map.map(&Endpoint::new(host, port));
        ranges.push(Range {
            first,
            last,
            master,
        });
    }
    Ok(SlotMap {
        epoch: epoch.unwrap_or_default(),
        ranges,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot_of("123456789"), 0x31C3);
        assert_eq!(
            slot_of("{user1000}.following"),
            slot_of("{user1000}.followers")
        );
        assert_eq!(slot_of("foo{{bar}}zap"), slot_of("{bar"));
        assert_ne!(slot_of("foo{}{bar}"), slot_of("bar"));
    }

    #[test]
    fn names_and_companions_share_a_slot() {
        for name in [
            "plain",
            "a:{tag}:b",
            "open{brace",
            "a{b{c}d",
            "ä{ö}",
            "x{{y}z",
            "{a}{b}",
        ] {
            let resource = crate::Resource::new(name).expect(name);
            let keys = crate::protocol::keys::Keys::new("app:", &resource).expect(name);
            for companion in [&keys.queue(), &keys.alive()] {
                assert_eq!(slot_of(&keys.name), slot_of(companion), "{name}");
            }
        }
    }
}
