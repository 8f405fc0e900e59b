//! After a failover in strict mode: from the moment at which the gate opens to the first grant.

use std::time::{Duration, SystemTime};

use leasehold::AcquireOptions;
use leasehold_testkit::SentinelCluster;
use redis::Value;
use tokio::task::block_in_place;

use super::{Effort, deposing};
use crate::report::{Figure, Target};
use crate::spread::Spread;
use crate::{Error, Result, ours};

const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn measure(effort: Effort) -> Result<Figure> {
    let cluster = block_in_place(SentinelCluster::start)?;
    let short = [("LOCK_TTL", "3s"), ("LOCK_MAX_TTL", "3s")];
    let locker = ours::sentinel(&cluster, &[short[0], short[1], ("LOCK_SAFETY", "strict")]).await?;
    let patient = AcquireOptions::new().timeout(PATIENCE);
    let mut after_opening = Vec::new();
    for round in deposing::rounds(effort) {
        let old = deposing::depose(&cluster, round)?;
        let new = block_in_place(|| cluster.wait_for_new_master(old))?;
        let lease = locker
            .acquire(format!("bench:{round}"))
            .options(&patient)
            .await?;
        let granted = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let record = ["HGET", "leasehold:gate", "open_from"];
        let opened_ms = milliseconds(&cluster.node(new).command(&record)?)?;
        after_opening.push(granted.as_secs_f64() * 1e3 - opened_ms);
        lease.release().await?;
        deposing::recover(&cluster, old)?;
    }
    let question = "how long after its gate has opened does a new master grant?";
    let mut figure = Figure::new("gate", question);
    let case = format!("strict, {} failovers, half by SIGKILL", after_opening.len());
    let measure = "the gate's opening to the first grant";
    let target = Target::AtMost(100.0);
    figure.aim(&case, measure, "ms", Spread::of(after_opening), target);
    Ok(figure)
}

fn milliseconds(value: &Value) -> Result<f64> {
    match value {
        Value::BulkString(text) => Ok(std::str::from_utf8(text)?.parse()?),
        other => Err(Error::from(format!("the gate has no opening: {other:?}"))),
    }
}
