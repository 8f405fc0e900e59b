//! What only an operator asks for: a list of the locks, and a lock taken from its holder.

use redis::Value;

use super::{CHANNELS, CLAIM, FENCE_KEPT, Single, remaining, unknown_code};
use crate::backend::{Forcing, Found, Holding, Scanned};
use crate::fence::Fence;
use crate::redis::classify::Failure;
use crate::redis::link::Link;
use crate::redis::reply::{self, Unexpected};
use crate::redis::script::FORCE_RELEASE;
use crate::resource::{Keys, companion};
use crate::token;

/// Keys that Redis looks at in one step: a few tenths of a millisecond of its time.
const STEP: usize = 500;

/// As much of a value as tells a token; a huge value in a shared Redis stays where it is.
const SHOWN_BYTES: usize = 1024;

impl Single {
    /// One step through all keys that match `pattern`, a glob that includes the prefix.
    pub(crate) async fn scan(&self, pattern: &str, cursor: u64) -> Result<Scanned, Failure> {
        let link = self.topology.link().map_err(Failure::not_applied)?;
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor)
            .arg("MATCH")
            .arg(pattern)
            .arg("COUNT")
            .arg(STEP)
            .arg("TYPE")
            .arg("string");
        let reply = link.observe(link.connection().run(&scan).await)?;
        let (next, names) = scanned(&reply).map_err(|unexpected| link.unexpected(unexpected))?;
        Ok(Scanned {
            found: look_at(&link, names).await?,
            next,
        })
    }

    pub(crate) async fn force_release(&self, keys: &Keys, id: &str) -> Result<Forcing, Failure> {
        let link = self.topology.link().map_err(Failure::not_applied)?;
        let call = self
            .call_of(&FORCE_RELEASE)
            .key(&keys.queue)
            .key(&keys.alive)
            .key(&keys.fence)
            .keys(&keys.locks)
            .argument(id)
            .argument(CLAIM.as_millis())
            .argument(CHANNELS)
            .argument(&keys.name)
            .argument(FENCE_KEPT.as_millis());
        let reply = link.call(&call).await?;
        forced(&reply).map_err(|unexpected| link.unexpected(unexpected))
    }
}

fn forced(reply: &Value) -> Result<Forcing, Unexpected> {
    let items = reply::array(reply)?;
    let holder = || reply::text(reply::item(items, 1)?).map(|holder| token::owner_in(&holder));
    match reply::integer(reply::item(items, 0)?)? {
        1 => {
            let fence = Fence::try_from(reply::integer(reply::item(items, 2)?)?);
            let fence = fence.map_err(|error| Unexpected {
                detail: error.to_string(),
            })?;
            Ok(Forcing::Taken {
                from: holder()?,
                fence,
            })
        }
        0 => Ok(Forcing::Missing),
        -1 => Ok(Forcing::HeldByAnother { by: holder()? }),
        code => Err(unknown_code(code)),
    }
}

fn scanned(reply: &Value) -> Result<(u64, Vec<String>), Unexpected> {
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

/// Reads value, expiry and fence of each key in one go.
async fn look_at(link: &Link, names: Vec<String>) -> Result<Vec<Found>, Failure> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut questions = redis::pipe();
    for name in &names {
        questions
            .cmd("GETRANGE")
            .arg(name)
            .arg(0)
            .arg(SHOWN_BYTES - 1)
            .cmd("PTTL")
            .arg(name)
            .cmd("GET")
            .arg(companion(name, "fence"));
    }
    let limit = link.connection().command_timeout();
    let answers = link.observe(link.connection().run_all(&questions, limit).await)?;
    let mut found = Vec::with_capacity(names.len());
    for (name, answers) in names.into_iter().zip(answers.chunks_exact(3)) {
        // One key that cannot be read, of another user's perhaps, does not hide the rest.
        let (Ok(value), Ok(left)) = (reply::text(&answers[0]), reply::integer(&answers[1])) else {
            continue;
        };
        const EXPIRED: i64 = -2;
        if left == EXPIRED {
            continue;
        }
        let fence = reply::text(&answers[2]).ok();
        let fence = fence.and_then(|fence| Fence::try_from(fence.parse::<i64>().ok()?).ok());
        found.push(Found {
            is_lock: fence.is_some() || token::is_ours(&value),
            holding: Holding {
                owner: Some(token::owner_in(&value)),
                id: Some(token::id_of(&value)),
                remaining: remaining(left),
                fence,
            },
            name,
        });
    }
    Ok(found)
}
