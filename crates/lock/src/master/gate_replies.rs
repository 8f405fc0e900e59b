//! What the scripts of the gate answer.

use std::time::Duration;

use redis::Value;

use crate::protocol::reply::{self, Unexpected};

/// The reply of `gate_claim.lua`.
pub(crate) enum Claimed {
    Open {
        remaining: Duration,
        longest: Duration,
        claim: u64,
    },
    Pending(PendingClaim),
    OtherIncarnation,
    OlderEpoch {
        record: u64,
    },
    SyncsChanged,
}

/// A claim that is to be confirmed.
pub(crate) struct PendingClaim {
    pub(crate) claim: u64,
    /// Why it may not be opened at once; `None` if it may, should the replicas have everything.
    pub(crate) pauses_for: Option<&'static str>,
    /// As many as were ever known.
    pub(crate) data_nodes: usize,
    pub(crate) longest: Duration,
}

/// The reply of `gate_open.lua`.
pub(crate) enum Opened {
    In {
        remaining: Duration,
        longest: Duration,
    },
    OtherClaim,
    OtherIncarnation,
    NotAtOnce {
        uptime: Duration,
    },
}

/// A code and numbers.
struct Numbers<'a>(&'a [Value]);

impl Numbers<'_> {
    fn code(&self) -> Result<i64, Unexpected> {
        reply::integer(reply::item(self.0, 0)?)
    }

    fn at(&self, at: usize) -> Result<u64, Unexpected> {
        let number = reply::integer(reply::item(self.0, at)?)?;
        Ok(u64::try_from(number).unwrap_or_default())
    }

    fn milliseconds(&self, at: usize) -> Result<Duration, Unexpected> {
        self.at(at).map(Duration::from_millis)
    }
}

/// Why a gate that was claimed may not be opened at once.
fn pauses_for(outcome: u64) -> Option<&'static str> {
    Some(match outcome {
        1 => return None,
        2 => {
            "the Sentinels name the same master at a later epoch, so another may have been in between"
        }
        3 => "the record of the gate that the master has is not of the master right before it",
        4 => {
            "Sentinel's epoch went up by more than one, by an election that failed or another master \
             in between"
        }
        5 => "the gate of the last master was not open",
        _ => "the master has no record of a gate before this one",
    })
}

fn unknown(code: i64) -> Unexpected {
    Unexpected {
        detail: format!("unknown reply code {code}"),
    }
}

impl Claimed {
    pub(crate) fn parse(reply: &Value) -> Result<Self, Unexpected> {
        let numbers = Numbers(reply::array(reply)?);
        Ok(match numbers.code()? {
            1 => Self::Open {
                remaining: numbers.milliseconds(1)?,
                longest: numbers.milliseconds(2)?,
                claim: numbers.at(3)?,
            },
            0 => Self::Pending(PendingClaim {
                data_nodes: usize::try_from(numbers.at(1)?).unwrap_or(usize::MAX),
                claim: numbers.at(2)?,
                pauses_for: pauses_for(numbers.at(3)?),
                longest: numbers.milliseconds(4)?,
            }),
            -3 => Self::OtherIncarnation,
            -6 => Self::OlderEpoch {
                record: numbers.at(1)?,
            },
            -7 => Self::SyncsChanged,
            code => return Err(unknown(code)),
        })
    }
}

impl Opened {
    pub(crate) fn parse(reply: &Value) -> Result<Self, Unexpected> {
        let numbers = Numbers(reply::array(reply)?);
        Ok(match numbers.code()? {
            1 => Self::In {
                remaining: numbers.milliseconds(1)?,
                longest: numbers.milliseconds(2)?,
            },
            -2 => Self::OtherClaim,
            -3 => Self::OtherIncarnation,
            -8 => Self::NotAtOnce {
                uptime: Duration::from_secs(numbers.at(1)?),
            },
            code => return Err(unknown(code)),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_pause_says_which_condition_asked_for_it() {
        let outcome = |outcome| {
            let numbers = [0, 3, 7, outcome, 30_000].map(Value::Int).to_vec();
            match Claimed::parse(&Value::Array(numbers)) {
                Ok(Claimed::Pending(pending)) => pending.pauses_for,
                _ => panic!("a claim that is pending"),
            }
        };
        assert_eq!(outcome(1), None);
        let reasons: BTreeSet<&str> = (2..=6).filter_map(outcome).collect();
        assert_eq!(reasons.len(), 5, "{reasons:?}");
    }
}
