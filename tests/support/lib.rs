//! What the tests of the whole share: lockers over real servers, and waiting for what must happen.

use std::time::{Duration, Instant};

mod referee;

pub use referee::Referee;

use leasehold::{Config, Error, Lease, Locker};
use leasehold_testkit::{
    RedisServer, SentinelCluster, SentinelClusterBuilder, ServerProcess, wait_for, wait_until,
};

/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The variables of a worker that uses `server`, with short leases.
#[must_use]
pub fn standalone_env(server: &RedisServer) -> Vec<(String, String)> {
    port_env(server.port())
}

/// The variables of a worker that uses `cluster`, with short leases.
#[must_use]
pub fn sentinel_env(cluster: &SentinelCluster) -> Vec<(String, String)> {
    let mut variables = common_env();
    variables.extend(cluster.env());
    variables
}

/// What the variables of all workers have in common; they name no servers.
#[must_use]
pub fn common_env() -> Vec<(String, String)> {
    let variables = [
        ("IS_LOCKING_DISABLED", "false"),
        ("LOCK_TTL", "3s"),
        ("LOCK_MAX_TTL", "3s"),
        ("REDIS_COMMAND_TIMEOUT", "500ms"),
        ("LOCK_RETRY_INTERVAL", "200ms"),
    ];
    variables
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

/// A locker in strict mode over a Sentinel cluster, whose leases last as long as any may.
///
/// # Panics
///
/// When it cannot connect.
pub async fn strict(cluster: &SentinelCluster, longest: Duration) -> Locker {
    let longest = format!("{}s", longest.as_secs());
    let overrides = [
        ("LOCK_SAFETY", "strict"),
        ("LOCK_TTL", longest.as_str()),
        ("LOCK_MAX_TTL", longest.as_str()),
    ];
    connect(sentinel_env(cluster), &overrides)
        .await
        .expect("connect")
}

/// Connects with `variables`, of which later ones override earlier ones.
///
/// # Errors
///
/// As [`Locker::connect`].
pub async fn connect(
    variables: impl IntoIterator<Item = (String, String)>,
    overrides: &[(&str, &str)],
) -> Result<Locker, Error> {
    let mut merged: std::collections::BTreeMap<String, String> = variables.into_iter().collect();
    for (name, value) in overrides {
        merged.insert((*name).to_owned(), (*value).to_owned());
    }
    Locker::connect(Config::from_vars(merged)?).await
}

/// The message with which connecting with `variables` fails.
///
/// # Panics
///
/// When it does not fail, or takes longer than [`PATIENCE`] to.
pub async fn refusal(
    variables: impl IntoIterator<Item = (String, String)>,
    overrides: &[(&str, &str)],
) -> String {
    match soon("the refusal", connect(variables, overrides)).await {
        Ok(_) => panic!("a locker came about"),
        Err(error) => format!("{error:?}"),
    }
}

/// The variables of a worker that uses the Redis at this port of the loopback interface.
#[must_use]
pub fn port_env(port: u16) -> Vec<(String, String)> {
    let mut variables = common_env();
    variables.push(("REDIS_HOST".into(), "127.0.0.1".into()));
    variables.push(("REDIS_PORT".into(), port.to_string()));
    variables
}

/// The variables of a worker that finds `mymaster` through the Sentinels at these addresses.
#[must_use]
pub fn sentinels_env<A: AsRef<str>>(addresses: &[A]) -> Vec<(String, String)> {
    let addresses: Vec<&str> = addresses.iter().map(AsRef::as_ref).collect();
    let mut variables = common_env();
    variables.push(("REDIS_SENTINEL_HOSTS".into(), addresses.join(",")));
    variables.push(("REDIS_SENTINEL_SERVICE".into(), "mymaster".into()));
    variables
}

/// Leases `resource` as soon as that succeeds.
///
/// # Panics
///
/// When it fails for a reason that waiting cannot mend, or takes longer than [`PATIENCE`].
pub async fn lease(locker: &Locker, resource: &str) -> Lease {
    let acquired = soon("a lease", locker.acquire(resource)).await;
    acquired.unwrap_or_else(|error| panic!("no lease on {resource}: {error}"))
}

/// Waits until `locker` grants: where there is a gate, until that is open.
///
/// # Panics
///
/// As [`lease`].
pub async fn opened(locker: &Locker) {
    let first = lease(locker, "before").await;
    first.release().await.expect("a release");
}

/// A cluster whose master changes only when it is told to: on a busy machine a master that was not
/// scheduled for half a second would count as dead.
#[must_use]
pub fn patient() -> SentinelClusterBuilder {
    SentinelCluster::builder().down_after(PATIENCE)
}

/// Has the Sentinels promote a replica while the master lives, and returns the old and new master's
/// index. A Sentinel that finds no fit replica at that moment gives up, so it is asked again.
///
/// # Panics
///
/// When there is no new master within [`PATIENCE`].
#[must_use]
pub fn fail_over(cluster: &SentinelCluster) -> (usize, usize) {
    blocking(|| {
        let old = wait_for("a master", PATIENCE, || cluster.master_index()).expect("a master");
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            // It may be at it already.
            let _ = cluster.failover();
            let changed = || cluster.master_index().is_ok_and(|index| index != old);
            if wait_until("another master", PATIENCE / 4, changed).is_ok() {
                let new = cluster.wait_for_new_master(old);
                return (old, new.expect("a new master"));
            }
        }
        panic!("no new master within {PATIENCE:?}")
    })
}

/// A lease on `resource` that `server` granted.
///
/// A master that was replaced grants in relaxed mode until it is left, and until then a grant says
/// nothing of where it is; such a one is given back.
///
/// # Panics
///
/// When there is none within [`PATIENCE`].
pub async fn lease_on(server: &ServerProcess, locker: &Locker, resource: &str) -> Lease {
    soon("a grant of this server", async {
        loop {
            if let Ok(held) = locker.try_acquire(resource).await {
                let key = blocking(|| server.cli(&["GET", resource]));
                if !key.expect("GET").is_empty() {
                    break held;
                }
                held.release().await.ok();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

/// How many connections with this `REDIS_CLIENT_NAME` a server has.
///
/// # Panics
///
/// When the server does not answer.
#[must_use]
pub fn connections_named(server: &ServerProcess, name: &str) -> usize {
    let clients = blocking(|| server.cli(&["CLIENT", "LIST"])).expect("CLIENT LIST");
    let wanted = format!(" name={name} ");
    clients
        .lines()
        .filter(|line| line.contains(&wanted))
        .count()
}

/// Runs something that blocks, such as a wait of the test kit, without stopping the runtime.
pub fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

/// Waits for `future`, but not for ever.
///
/// # Panics
///
/// When [`PATIENCE`] is over.
pub async fn soon<T>(what: &str, future: impl IntoFuture<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what} did not happen within {PATIENCE:?}"),
    }
}

/// Calls `condition` until it holds, but not for ever.
///
/// # Panics
///
/// When [`PATIENCE`] is over.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    soon(what, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// How many scripts ran on a server: one that it did not know yet is sent twice and runs once.
///
/// # Panics
///
/// If the server does not answer.
#[must_use]
pub fn scripts(server: &ServerProcess) -> u64 {
    let counts = server.info("commandstats").expect("INFO");
    let count = |name: &str, field: &str| {
        let fields = counts.get(name)?.split(',');
        let count = fields.filter_map(|text| text.strip_prefix(field)).next()?;
        count.strip_prefix('=')?.parse::<u64>().ok()
    };
    let ran = |name| {
        let failed = count(name, "failed_calls").unwrap_or_default();
        count(name, "calls").unwrap_or_default() - failed
    };
    ran("cmdstat_evalsha") + ran("cmdstat_eval")
}

/// Waits until each of these servers has been up for longer than `least`, as one must be that may take over without a pause.
///
/// # Panics
///
/// When [`PATIENCE`] is over.
pub async fn all_up_for(servers: &[RedisServer], least: Duration) {
    let is_up = |server: &RedisServer| {
        let info = blocking(|| server.info("server"));
        let uptime = info
            .ok()
            .and_then(|info| info["uptime_in_seconds"].parse().ok());
        uptime.is_some_and(|uptime: u64| uptime > least.as_secs() + 2)
    };
    eventually("servers that are up for long enough", async || {
        servers.iter().all(is_up)
    })
    .await;
}

/// The Rust code of the documentation compiles, and what is not marked `no_run` runs.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[doc = include_str!("../../docs/README.md")]
#[doc = include_str!("../../docs/architecture.md")]
#[doc = include_str!("../../docs/blocking.md")]
#[doc = include_str!("../../docs/choosing.md")]
#[doc = include_str!("../../docs/concepts.md")]
#[doc = include_str!("../../docs/configuration.md")]
#[doc = include_str!("../../docs/docker.md")]
#[doc = include_str!("../../docs/errors.md")]
#[doc = include_str!("../../docs/faq.md")]
#[doc = include_str!("../../docs/guarantees.md")]
#[doc = include_str!("../../docs/migration.md")]
#[doc = include_str!("../../docs/observability.md")]
#[doc = include_str!("../../docs/operations.md")]
#[doc = include_str!("../../docs/protocol.md")]
#[doc = include_str!("../../docs/releases.md")]
#[doc = include_str!("../../docs/servers.md")]
#[doc = include_str!("../../docs/troubleshooting.md")]
pub struct Documentation;
