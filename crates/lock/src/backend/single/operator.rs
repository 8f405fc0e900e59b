//! Requests of operators: a list of the locks, and a forced release.

use redis::Value;

use super::Single;
use super::looking::{self, questions};
use super::replies::{self, unknown_code};
use crate::backend::ops::{ForceOutcome, Found, Scanned};
use crate::fence::Fence;
use crate::master::confirm::Confirmed;
use crate::master::link::Link;
use crate::protocol::keys::{Keys, is_companion};
use crate::protocol::reply::{self, Unexpected};
use crate::protocol::script::FORCE_RELEASE;
use crate::token;
use crate::transport::server_errors::Failure;

/// Keys that Redis looks at in one step: a few tenths of a millisecond of its time.
const STEP: usize = 500;

impl Single {
    /// One step through all keys that match `pattern`, a glob that includes the prefix.
    pub(crate) async fn scan(&self, pattern: &str, cursor: u64) -> Result<Scanned, Failure> {
        let link = self.link()?;
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor)
            .arg("MATCH")
            .arg(pattern)
            .arg("COUNT")
            .arg(STEP)
            .arg("TYPE")
            .arg("string");
        let reply = link.observe(link.connection().run(&scan).await)?;
        let (next, mut names) = link.read(scanned(&reply))?;
        names.retain(|name| !is_companion(name));
        Ok(Scanned {
            found: look_at(&link, names).await?,
            next,
        })
    }

    pub(crate) async fn force_release(
        &self,
        keys: &Keys,
        id: &str,
    ) -> Result<ForceOutcome, Failure> {
        let link = self.link()?;
        let (mut forced, mut confirmed) = self.force_once(&link, keys, id).await?;
        if matches!(forced, ForceReply::Unclaimed) {
            self.open_gate(&link).await?;
            (forced, confirmed) = self.force_once(&link, keys, id).await?;
        }
        match forced {
            ForceReply::Taken { from, fence, claim } => {
                let look = confirmed.look;
                let counts = look.is_none_or(|look| look.allows_renewals(claim));
                if counts && confirmed.by_majority() {
                    return Ok(ForceOutcome::Taken { from, fence });
                }
                // A failover may bring the holder back.
                Ok(ForceOutcome::NotReplicated(confirmed.by_nobody_else()))
            }
            ForceReply::Unclaimed => Ok(ForceOutcome::NotReplicated(confirmed.by_nobody_else())),
            ForceReply::Missing => Ok(ForceOutcome::Missing),
            ForceReply::HeldByAnother { by } => Ok(ForceOutcome::HeldByAnother { by }),
        }
    }

    async fn force_once(
        &self,
        link: &Link,
        keys: &Keys,
        id: &str,
    ) -> Result<(ForceReply, Confirmed), Failure> {
        let counter = self.counters.of(&keys.name);
        let mut call = self
            .call_of(&FORCE_RELEASE)
            .key(&keys.queue())
            .key(&keys.alive())
            .key(&counter)
            .keys(&keys.locks)
            .keys(
                link.gate
                    .iter()
                    .flat_map(|gate| [&gate.record, &gate.renewed]),
            )
            .argument(id)
            .argument(&keys.name)
            .argument(self.fences.floor(&counter))
            .argument(link.reign_id());
        if link.gate.is_some() {
            call = call.argument(&link.incarnation.replication_id);
        }
        let (reply, confirmed) = link.call_confirmed(call).await?;
        let forced = link.read(forced(&reply))?;
        Ok((forced, confirmed))
    }
}

/// The reply of `force_release.lua`.
pub(super) enum ForceReply {
    Taken {
        from: String,
        fence: Fence,
        /// The claim of the gate under which it was done.
        claim: u64,
    },
    Missing,
    HeldByAnother {
        by: String,
    },
    /// The gate is to be claimed first.
    Unclaimed,
}

pub(super) fn forced(reply: &Value) -> Result<ForceReply, Unexpected> {
    let items = reply::array(reply)?;
    let number = |at| reply::integer(reply::item(items, at)?);
    let holder = || reply::text(reply::item(items, 1)?).map(|holder| token::owner_in(&holder));
    match number(0)? {
        1 => Ok(ForceReply::Taken {
            from: holder()?,
            fence: replies::fence(number(2)?)?,
            claim: u64::try_from(number(3)?).unwrap_or_default(),
        }),
        0 => Ok(ForceReply::Missing),
        -1 => Ok(ForceReply::HeldByAnother { by: holder()? }),
        -2 => Ok(ForceReply::Unclaimed),
        code => Err(unknown_code(code)),
    }
}

pub(super) fn scanned(reply: &Value) -> Result<(u64, Vec<String>), Unexpected> {
    let items = reply::array(reply)?;
    let cursor = reply::text(reply::item(items, 0)?)?;
    let cursor = cursor.parse().map_err(|_| Unexpected {
        detail: "SCAN answered with no cursor".to_owned(),
    })?;
    let names = reply::array(reply::item(items, 1)?)?
        .iter()
        .map(reply::text)
        .collect::<Result<_, _>>()?;
    Ok((cursor, names))
}

/// Reads value, expiry and queue of each key in one go.
async fn look_at(link: &Link, names: Vec<String>) -> Result<Vec<Found>, Failure> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let limit = link.connection().command_timeout();
    let answers = link.connection().run_all(&questions(&names), limit).await;
    Ok(looking::found(names, &link.observe(answers)?))
}
