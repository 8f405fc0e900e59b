//! What only an operator asks for: a list of the locks, and a lock taken from its holder.

use redis::Value;

use super::looking::{self, questions};
use super::replies::{self, unknown_code};
use super::{Single, other_incarnation};
use crate::backend::{Forcing, Found, Scanned};
use crate::redis::classify::Failure;
use crate::redis::link::Link;
use crate::redis::reply::{self, Unexpected};
use crate::redis::script::FORCE_RELEASE;
use crate::resource::{Keys, is_companion};
use crate::token;
use crate::unavailable::{Cause, Unavailable};

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
        let (next, mut names) =
            scanned(&reply).map_err(|unexpected| link.unexpected(unexpected))?;
        names.retain(|name| !is_companion(name));
        Ok(Scanned {
            found: look_at(&link, names).await?,
            next,
        })
    }

    pub(crate) async fn force_release(&self, keys: &Keys, id: &str) -> Result<Forcing, Failure> {
        let link = self.link()?;
        // Twice: the first may find the gate of this incarnation unclaimed.
        for _ in 0..2 {
            if let Some(forcing) = self.force_release_once(&link, keys, id).await? {
                return Ok(forcing);
            }
            self.open_gate(&link).await?;
        }
        let cause = Cause::NotMasterYet;
        Err(Failure::not_applied(Unavailable::on(link.node(), cause)))
    }

    /// `None`: the gate has to be claimed before.
    async fn force_release_once(
        &self,
        link: &Link,
        keys: &Keys,
        id: &str,
    ) -> Result<Option<Forcing>, Failure> {
        let counter = self.counters.of(&keys.name);
        let mut call = self
            .call_of(&FORCE_RELEASE)
            .key(&keys.queue)
            .key(&keys.alive)
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
        match forced(&reply).map_err(|unexpected| link.unexpected(unexpected))? {
            Forced::By(Forcing::Taken { .. })
                if !confirmed.by_majority()
                    || confirmed.look.is_some_and(|look| !look.is_current()) =>
            {
                // A failover may bring the holder back.
                Ok(Some(Forcing::NotReplicated(confirmed)))
            }
            Forced::By(forcing) => Ok(Some(forcing)),
            Forced::GateUnclaimed => Ok(None),
            Forced::OtherIncarnation => Err(other_incarnation(link)),
        }
    }
}

/// The reply of `force_release.lua`.
pub(super) enum Forced {
    By(Forcing),
    GateUnclaimed,
    OtherIncarnation,
}

pub(super) fn forced(reply: &Value) -> Result<Forced, Unexpected> {
    let items = reply::array(reply)?;
    let holder = || reply::text(reply::item(items, 1)?).map(|holder| token::owner_in(&holder));
    Ok(match reply::integer(reply::item(items, 0)?)? {
        1 => Forced::By(Forcing::Taken {
            from: holder()?,
            fence: replies::fence(reply::integer(reply::item(items, 2)?)?)?,
        }),
        0 => Forced::By(Forcing::Missing),
        -1 => Forced::By(Forcing::HeldByAnother { by: holder()? }),
        super::GATE_UNCLAIMED => Forced::GateUnclaimed,
        -3 => Forced::OtherIncarnation,
        code => return Err(unknown_code(code)),
    })
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
