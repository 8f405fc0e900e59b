//! What the scripts of a lock answer.

use std::time::Duration;

use redis::Value;

use crate::fence::Fence;
use crate::protocol::reply::{self, Unexpected};
use crate::token::owner_in;

/// The reply of `acquire.lua`.
pub(super) enum Acquired {
    Granted {
        fence: Fence,
        slot: usize,
        claim: u64,
    },
    Held {
        owner: Option<String>,
        remaining: Option<Duration>,
        before: Option<u32>,
        foreign: bool,
    },
    GateClosed(Duration),
    GateUnclaimed,
    OtherIncarnation,
    AboveSharedBound {
        most: Duration,
    },
}

impl Acquired {
    pub(super) fn parse(reply: &Value) -> Result<Self, Unexpected> {
        let items = reply::array(reply)?;
        let number = |at| reply::integer(reply::item(items, at)?);
        match number(0)? {
            1 => Ok(Self::Granted {
                fence: fence(number(1)?)?,
                slot: usize::try_from(number(2)?).map_err(unexpected)?,
                claim: u64::try_from(number(3)?).map_err(unexpected)?,
            }),
            0 => Ok(Self::Held {
                owner: Some(match reply::text(reply::item(items, 2)?)?.as_str() {
                    "" => "the next in its queue".to_owned(),
                    token => owner_in(token),
                }),
                remaining: remaining(number(1)?),
                before: u32::try_from(number(3)?).ok(),
                foreign: number(4)? == 1,
            }),
            -2 => Ok(Self::GateUnclaimed),
            -3 => Ok(Self::OtherIncarnation),
            -4 => Ok(Self::GateClosed(remaining(number(1)?).unwrap_or_default())),
            -5 => Ok(Self::AboveSharedBound {
                most: remaining(number(1)?).unwrap_or_default(),
            }),
            code => Err(unknown_code(code)),
        }
    }
}

/// The reply of `release.lua`.
pub(super) enum ReleaseReply {
    /// Nobody waits.
    Alone,
    /// Somebody waits, and was called.
    Awaited,
    Missing,
    Stolen {
        by: String,
    },
}

impl ReleaseReply {
    pub(super) fn parse(reply: &Value) -> Result<Self, Unexpected> {
        match reply {
            Value::Int(1) => Ok(Self::Alone),
            Value::Int(2) => Ok(Self::Awaited),
            Value::Int(0) => Ok(Self::Missing),
            Value::Int(code) => Err(unknown_code(*code)),
            holder => Ok(Self::Stolen {
                by: owner_in(&reply::text(holder)?),
            }),
        }
    }
}

/// A reply that begins with a code, and a claim of the gate or the holder.
pub(super) struct Coded {
    pub(super) code: i64,
    pub(super) claim: u64,
    pub(super) holder: String,
}

impl Coded {
    pub(super) fn parse(reply: &Value) -> Result<Self, Unexpected> {
        let items = reply::array(reply)?;
        let code = reply::integer(reply::item(items, 0)?)?;
        let (claim, holder) = match items.get(1) {
            None => (0, String::new()),
            Some(Value::Int(claim)) => (u64::try_from(*claim).map_err(unexpected)?, String::new()),
            Some(holder) => (0, reply::text(holder)?),
        };
        Ok(Self {
            code,
            claim,
            holder,
        })
    }
}

pub(super) fn fence(number: i64) -> Result<Fence, Unexpected> {
    Fence::try_from(number).map_err(unexpected)
}

/// Milliseconds; negative where there is no end: a lock without an expiry has none.
pub(super) fn remaining(milliseconds: i64) -> Option<Duration> {
    u64::try_from(milliseconds).ok().map(Duration::from_millis)
}

pub(super) fn unknown_code(code: i64) -> Unexpected {
    Unexpected {
        detail: format!("unknown reply code {code}"),
    }
}

fn unexpected(error: impl std::fmt::Display) -> Unexpected {
    Unexpected {
        detail: error.to_string(),
    }
}
