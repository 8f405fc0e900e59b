//! Somebody who wants what another holds, and a referee.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use leasehold::{Error, Fence, Lease, Locker};
use leasehold_testkit::{Mode, Proxy, RedisServer, SentinelCluster, SentinelClusterBuilder};
use leasehold_tests::{connect, sentinel_env, soon};
use tokio::task::JoinHandle;

/// What everybody wants.
pub(crate) const NAME: &str = "wanted";

/// Leases of this length, the longest that is allowed.
pub(crate) const TTL: Duration = Duration::from_secs(3);

/// A locker in strict mode.
pub(crate) async fn strict(cluster: &SentinelCluster) -> Locker {
    connect(sentinel_env(cluster), &[("LOCK_SAFETY", "strict")])
        .await
        .expect("connect")
}

/// A cluster whose replicas come and go without much ado.
pub(crate) fn cluster() -> SentinelClusterBuilder {
    SentinelCluster::builder().node(RedisServer::builder().append_only(true))
}

/// Asks for [`NAME`] again and again, and notes each grant: when it came, and its fence.
pub(crate) struct Rival {
    grants: Arc<Mutex<Vec<(Instant, Fence)>>>,
    task: JoinHandle<()>,
}

impl Rival {
    pub(crate) fn start(locker: &Locker) -> Self {
        let grants = Arc::new(Mutex::new(Vec::new()));
        let (noted, locker) = (grants.clone(), locker.clone());
        let task = tokio::spawn(async move {
            loop {
                match locker.try_acquire(NAME).await {
                    Ok(lease) => {
                        let grant = (Instant::now(), lease.fence());
                        noted
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(grant);
                        let _ = lease.release().await;
                    }
                    Err(error) => assert!(
                        error.is_retryable() || matches!(error, Error::Unavailable(_)),
                        "{error}"
                    ),
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        Self { grants, task }
    }

    pub(crate) fn first(&self) -> Option<(Instant, Fence)> {
        self.grants
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .first()
            .copied()
    }

    /// Waits for the first grant.
    pub(crate) async fn granted(&self) -> (Instant, Fence) {
        let until = Instant::now() + Duration::from_secs(40);
        while Instant::now() < until {
            assert!(!self.task.is_finished(), "the rival gave up");
            if let Some(grant) = self.first() {
                return grant;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the rival was never granted");
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A holder that is watched from its grant on: a failover may last longer than what is left of its lease.
pub(crate) struct Holder {
    lease: Arc<Lease>,
    /// Ends with the lease, and tells when it was valid for the last time.
    watch: JoinHandle<Instant>,
}

impl Holder {
    pub(crate) fn watch(lease: Lease) -> Self {
        let lease = Arc::new(lease);
        let (watched, mut last_valid) = (lease.clone(), Instant::now());
        let watch = tokio::spawn(async move {
            loop {
                let now = Instant::now();
                if !watched.is_valid() {
                    return last_valid;
                }
                last_valid = now;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        Self { lease, watch }
    }

    /// Gives the lease back if it is still valid, and returns whether it was, and when it was for the last time.
    async fn end(self) -> (bool, Instant) {
        let now = Instant::now();
        if !self.lease.is_valid() {
            return (false, self.watch.await.expect("the watch"));
        }
        self.watch.abort();
        let _ = self.watch.await;
        if let Some(lease) = Arc::into_inner(self.lease) {
            let _ = lease.release().await;
        }
        (true, now)
    }
}

/// Leases [`NAME`].
pub(crate) async fn hold(locker: &Locker) -> Holder {
    let lease = soon("a lease", locker.acquire(NAME)).await;
    Holder::watch(lease.expect("a lease"))
}

/// Waits until a holder has lost its lease or `most` has passed, and fails if the rival is granted before.
///
/// Whoever is still a holder then gives the lease back. The rival must be granted after that, with a greater fence.
pub(crate) async fn referee(holder: Holder, rival: &Rival, most: Duration) {
    let fence = holder.lease.fence();
    let until = Instant::now() + most;
    while !holder.watch.is_finished() && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let before = rival.first();
    let (kept, last_valid) = holder.end().await;
    assert!(!kept || before.is_none(), "granted while the holder held");
    let (granted, next) = rival.granted().await;
    assert!(
        granted > last_valid,
        "granted {:?} before the holder's end",
        last_valid - granted
    );
    assert!(next > fence, "fence {next} after {fence}");
}

/// The plain recipe, on whatever server.
pub(crate) fn plain_grant(server: &RedisServer, token: &str) -> bool {
    let granted = server.cli(&["SET", "plain", token, "NX", "PX", "30000"]);
    granted.is_ok_and(|answer| answer.trim() == "OK")
}

/// A client that hears no more of its Sentinels when it is stranded, while its connection to the master lives.
pub(crate) struct Stranded {
    sentinels: Vec<Proxy>,
    pub(crate) locker: Locker,
}

impl Stranded {
    pub(crate) async fn connect(cluster: &SentinelCluster, settings: &[(&str, &str)]) -> Self {
        let sentinels: Vec<Proxy> = cluster
            .sentinel_addresses()
            .into_iter()
            .map(|address| Proxy::start(address).expect("a proxy"))
            .collect();
        let addresses: Vec<String> = sentinels.iter().map(Proxy::address).collect();
        let behind = cluster.sentinel_addresses();
        let mut map = vec![cluster.address_map()];
        map.extend(
            behind
                .iter()
                .zip(&addresses)
                .map(|(real, proxy)| format!("{real}={proxy}")),
        );
        map.retain(|pairs| !pairs.is_empty());
        let (addresses, map) = (addresses.join(","), map.join(","));
        let mut overrides = settings.to_vec();
        overrides.extend([
            ("REDIS_SENTINEL_HOSTS", addresses.as_str()),
            ("REDIS_ADDRESS_MAP", map.as_str()),
        ]);
        let locker = connect(sentinel_env(cluster), &overrides)
            .await
            .expect("connect");
        Self { sentinels, locker }
    }

    /// The Sentinels fall silent.
    pub(crate) fn strand(&self) {
        for sentinel in &self.sentinels {
            sentinel.set_mode(Mode::Blackhole).expect("a black hole");
        }
    }

    /// And the master with it: it hears nobody else any more.
    pub(crate) fn strand_with(&self, cluster: &SentinelCluster, master: usize) {
        self.strand();
        cluster
            .proxy(master)
            .set_mode(Mode::Blackhole)
            .expect("a black hole");
    }
}
