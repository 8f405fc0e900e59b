//! What is left in Redis of names that were leased and released.

use futures_util::future::try_join_all;
use leasehold::Locker;
use leasehold_testkit::RedisServer;

use super::Effort;
use crate::report::{Figure, Target};
use crate::spread::Spread;
use crate::{Error, Result, ours};

const NAMES: usize = 100_000;
/// How many leases are taken at once.
const AT_ONCE: usize = 250;

pub(super) async fn measure(_effort: Effort) -> Result<Figure> {
    let server = RedisServer::start()?;
    let locker = ours::standalone(&server, &[]).await?;
    // What is there once, however many names are leased.
    lease(&locker, 0).await?;
    let before = used_bytes(&server)?;
    for first in (0..NAMES).step_by(AT_ONCE) {
        let numbers = first..first + AT_ONCE;
        try_join_all(numbers.map(|number| lease(&locker, number))).await?;
    }
    let after = used_bytes(&server)?;
    let keys = match server.command(&["DBSIZE"])? {
        redis::Value::Int(keys) => keys as f64,
        other => return Err(Error::from(format!("DBSIZE answered {other:?}"))),
    };
    let mut figure = Figure::new("memory", "what do released leases leave in Redis?");
    let case = format!("{NAMES} names");
    let keys = Spread::once(keys);
    figure.aim(&case, "keys left", "", keys, Target::AtMost(3.0));
    let bytes = Spread::once((after - before) / NAMES as f64);
    figure.add(&case, "bytes left per name", "", bytes);
    Ok(figure)
}

async fn lease(locker: &Locker, number: usize) -> Result<()> {
    let name = format!("bench:order:{number}");
    locker.acquire(name).await?.release().await?;
    Ok(())
}

fn used_bytes(server: &RedisServer) -> Result<f64> {
    let fields = server.info("memory")?;
    let used = fields.get("used_memory");
    let used = used.ok_or_else(|| Error::from("the server does not count its memory"))?;
    Ok(used.parse()?)
}
