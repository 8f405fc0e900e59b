//! Somebody who wants what another holds, and a referee.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use leasehold::{Error, Fence, Lease, Locker};
use leasehold_testkit::{RedisServer, SentinelCluster, SentinelClusterBuilder};
use leasehold_tests::{connect, sentinel_env};
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

/// Watches a holder until it has lost its lease or `most` has passed, and fails if the rival is granted before.
///
/// Whoever is still a holder then gives the lease back. The rival must be granted after that, with a greater fence.
pub(crate) async fn referee(holder: Lease, rival: &Rival, most: Duration) {
    let fence = holder.fence();
    let until = Instant::now() + most;
    let mut last_valid = None;
    while Instant::now() < until {
        let now = Instant::now();
        if !holder.is_valid() {
            break;
        }
        last_valid = Some(now);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let last_valid = last_valid.expect("the holder held");
    let kept = holder.is_valid();
    if kept {
        assert!(rival.first().is_none(), "granted while the holder held");
        let _ = holder.release().await;
    }
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
