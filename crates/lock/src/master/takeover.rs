//! Whether a new master has everything that the last one confirmed, so that its gate can open at once.
//!
//! Whatever the last master confirmed is on a majority of the data nodes. If a majority, the new master
//! among it, continues the last master's history without a gap, and none of it has restarted since the
//! oldest lease began, then one of them had each confirmed lease, and the new master has it too: Redis
//! continues by a *partial* synchronisation only a replica that is not ahead of its new master. What each
//! replica says is read from itself, after it has the claim.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use leasehold_config::{AddressMap, Endpoint};
use redis::Value;

use crate::broken::{Condition, is_demanded};
use crate::master::confirm::majority;
use crate::master::identity;
use crate::master::link::Link;
use crate::protocol::reply::{self, info_field};
use crate::transport::connection::{CloseSignal, Connection, ConnectionSettings};
use crate::transport::server_errors::Failure;
use crate::unavailable::Unavailable;

/// How long one replica may take to be reached and to answer.
const LIMIT: Duration = Duration::from_millis(800);
/// More replicas than this are not looked at.
const MOST: usize = 64;

/// How replicas are reached.
#[derive(Clone)]
pub(crate) struct Replicas {
    pub(crate) settings: ConnectionSettings,
    pub(crate) address_map: AddressMap,
}

/// What a take-over is to be shown for.
pub(crate) struct Wanted<'a> {
    pub(crate) link: &'a Link,
    pub(crate) gate_key: &'a str,
    pub(crate) claim: u64,
    pub(crate) longest: Duration,
}

impl Replicas {
    /// Looks at all replicas at once. Returns the history that the new master continues.
    ///
    /// # Errors
    ///
    /// Why a pause is needed, for people: which condition failed on which node.
    pub(crate) async fn have_everything(&self, wanted: &Wanted<'_>) -> Result<String, String> {
        let link = wanted.link;
        let replication = info(link.connection(), "replication");
        let replication = replication.await.map_err(|failure| failure.to_string())?;
        let last = info_field(&replication, "master_replid2").unwrap_or_default();
        let looks = join_all(
            self.addresses(&replication)
                .into_iter()
                .map(|node| async move {
                    let look = self.look_at(&node, wanted, last).await;
                    look.map_err(|reason| format!("{node}: {reason}"))
                }),
        )
        .await;
        let needed = majority(link.data_nodes());
        // One replica may be listed at two addresses.
        let mut with = HashSet::new();
        let mut reasons = Vec::new();
        for look in looks {
            match look {
                Ok(run_id) => drop(with.insert(run_id)),
                Err(reason) => reasons.push(reason),
            }
        }
        if 1 + with.len() >= needed {
            return Ok(last.to_owned());
        }
        let reasons = match &reasons[..] {
            [] => "no other replica follows the new master".to_owned(),
            reasons => reasons.join("; "),
        };
        Err(format!(
            "{} of {} data nodes are known to have everything, {needed} are needed: {reasons}",
            1 + with.len(),
            link.data_nodes()
        ))
    }

    /// The replicas that follow the new master, as it lists them.
    fn addresses(&self, replication: &str) -> Vec<Endpoint> {
        let replicas = identity::replicas(replication).into_iter().take(MOST);
        replicas.map(|node| self.address_map.map(&node)).collect()
    }

    async fn look_at(
        &self,
        node: &Endpoint,
        wanted: &Wanted<'_>,
        last: &str,
    ) -> Result<String, String> {
        let said = match tokio::time::timeout(LIMIT, self.ask(node, wanted.gate_key)).await {
            Ok(said) => said?,
            Err(_) => return Err(format!("no answer within {LIMIT:?}")),
        };
        said.shows(wanted, last)?;
        Ok(said.run_id)
    }

    /// Asks in this order, so that what the replica says of itself was so when it had the claim.
    async fn ask(&self, node: &Endpoint, gate_key: &str) -> Result<Said, String> {
        let opening = Connection::open(node, &self.settings, CloseSignal::default(), |_| {});
        let connection = opening.await.map_err(|error| reason(&error))?;
        let record = ["HMGET", gate_key, "incarnation", "claim"];
        let questions = [&record[..], &["INFO", "replication"], &["INFO", "server"]];
        let answers = connection.ask(questions, LIMIT).await;
        let answers = answers.map_err(|failure| reason(&failure.unavailable))?;
        Said::parse(&answers).ok_or_else(|| "an answer that is none of Redis".to_owned())
    }
}

fn reason(unavailable: &Unavailable) -> String {
    unavailable.cause().to_string()
}

async fn info(connection: &Connection, section: &str) -> Result<String, Unavailable> {
    let answer = connection.run(redis::cmd("INFO").arg(section)).await;
    let answer = answer.map_err(|failure: Failure| failure.unavailable)?;
    Ok(reply::text(&answer).unwrap_or_default())
}

/// What one replica says of itself.
struct Said {
    incarnation: String,
    claim: String,
    replication: String,
    uptime: Duration,
    run_id: String,
}

impl Said {
    fn parse([record, replication, server]: &[Value; 3]) -> Option<Self> {
        let record = reply::array(record).ok()?;
        let field = |at| reply::text(reply::item(record, at).ok()?).ok();
        let server = reply::text(server).ok()?;
        // Negative where the server's clock was set back since its start.
        let uptime: i64 = info_field(&server, "uptime_in_seconds")?.parse().ok()?;
        let uptime = u64::try_from(uptime).unwrap_or_default();
        Some(Self {
            incarnation: field(0).unwrap_or_default(),
            claim: field(1).unwrap_or_default(),
            replication: reply::text(replication).ok()?,
            // Whole seconds, rounded up by the server at worst.
            uptime: Duration::from_secs(uptime.saturating_sub(1)),
            run_id: info_field(&server, "run_id")?.to_owned(),
        })
    }

    /// Whether the replica is one of those that show that nothing is missing.
    fn shows(&self, wanted: &Wanted<'_>, last: &str) -> Result<(), String> {
        let master = &*wanted.link.incarnation.replication_id;
        let field = |name| info_field(&self.replication, name).unwrap_or_default();
        if field("role") != "slave" || field("master_replid") != master {
            return Err("it does not follow the new master".to_owned());
        }
        if self.incarnation != master || self.claim != wanted.claim.to_string() {
            return Err("it does not have the claim yet".to_owned());
        }
        if is_demanded(Condition::SameHistory) && field("master_replid2") != last {
            return Err("it was synchronised fully, so it may have been ahead".to_owned());
        }
        if is_demanded(Condition::Uptime) && self.uptime < wanted.longest {
            return Err(format!(
                "it is up for {:?}, less than the longest lease of {:?}",
                self.uptime, wanted.longest
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
