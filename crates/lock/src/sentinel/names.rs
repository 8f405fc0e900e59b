//! The addresses behind the configured names of the Sentinels.
//!
//! A name with one address is dialled by its name, so that each connection goes where the name leads
//! then. A name with several, as of a headless Service, stands for that many Sentinels.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use leasehold_config::Endpoint;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::target::SentinelTarget;
use crate::unavailable::{Cause, printable};

/// How often a name is resolved again.
const EVERY: Duration = Duration::from_secs(5);
/// How long one resolution may take.
const LIMIT: Duration = Duration::from_secs(2);

/// A configured Sentinel, or several behind one name.
pub(super) struct Name {
    targets: watch::Receiver<Vec<SentinelTarget>>,
    _task: Option<AbortOnDropHandle<()>>,
}

impl Name {
    /// Starts to resolve the name, again and again. `hints` is notified when the addresses change.
    pub(super) fn start(configured: &Endpoint, hints: &Arc<Notify>) -> Self {
        let (publish, targets) = watch::channel(vec![SentinelTarget::named(configured.clone())]);
        let task = (!is_address(configured)).then(|| {
            let resolving = follow(configured.clone(), hints.clone(), publish);
            AbortOnDropHandle::new(tokio::spawn(resolving))
        });
        Self {
            targets,
            _task: task,
        }
    }

    /// What to connect to, at present.
    pub(super) fn targets(&self) -> Vec<SentinelTarget> {
        self.targets.borrow().clone()
    }
}

async fn follow(
    configured: Endpoint,
    hints: Arc<Notify>,
    publish: watch::Sender<Vec<SentinelTarget>>,
) {
    while !publish.is_closed() {
        // A name that cannot be resolved for a while does not make its Sentinels worse.
        if let Ok(Ok(addresses)) = timeout(LIMIT, resolve(&configured)).await {
            let targets = targets(&configured, addresses);
            let changed = publish.send_if_modified(|known| {
                let changed = *known != targets;
                *known = targets;
                changed
            });
            if changed {
                hints.notify_one();
            }
        }
        sleep(EVERY).await;
    }
}

fn targets(configured: &Endpoint, addresses: Vec<Endpoint>) -> Vec<SentinelTarget> {
    let distinct: BTreeSet<Endpoint> = addresses.into_iter().collect();
    if distinct.len() < 2 {
        return vec![SentinelTarget::named(configured.clone())];
    }
    distinct
        .into_iter()
        .map(|address| SentinelTarget::behind(configured, address))
        .collect()
}

/// The addresses of an endpoint, in the order in which to try them. The caller bounds the wait.
pub(super) async fn resolve(endpoint: &Endpoint) -> Result<Vec<Endpoint>, Cause> {
    if is_address(endpoint) {
        return Ok(vec![endpoint.clone()]);
    }
    #[cfg(feature = "fuzzing")]
    if let Some(addresses) = made_up::addresses(endpoint.host()) {
        return Ok(addresses);
    }
    let unreachable = |detail: String| Cause::Unreachable {
        detail: printable(&detail),
    };
    let found = tokio::net::lookup_host((endpoint.host(), endpoint.port())).await;
    let addresses: Vec<Endpoint> = found
        .map_err(|error| unreachable(error.to_string()))?
        .map(|address| Endpoint::new(address.ip().to_string(), address.port()))
        .collect();
    if addresses.is_empty() {
        return Err(unreachable("the name has no address".to_owned()));
    }
    Ok(addresses)
}

fn is_address(endpoint: &Endpoint) -> bool {
    endpoint.host().parse::<IpAddr>().is_ok()
}

/// Names that tests make up: the operating system's cannot be changed by a test.
#[cfg(feature = "fuzzing")]
pub(crate) mod made_up {
    use std::collections::BTreeMap;

    use leasehold_config::Endpoint;

    use crate::sync::Mutex;

    static NAMES: Mutex<BTreeMap<String, Vec<Endpoint>>> = Mutex::new(BTreeMap::new());

    pub(crate) fn set(name: &str, addresses: Vec<Endpoint>) {
        let mut names = NAMES.lock();
        names.insert(name.to_owned(), addresses);
    }

    pub(super) fn addresses(name: &str) -> Option<Vec<Endpoint>> {
        let names = NAMES.lock();
        names.get(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str) -> Endpoint {
        Endpoint::new(host, 26379)
    }

    #[test]
    fn a_name_with_one_address_is_dialled_by_its_name() {
        let name = at("sentinels");
        let once = vec![SentinelTarget::named(name.clone())];
        assert_eq!(targets(&name, vec![at("10.0.0.1")]), once);
        assert_eq!(targets(&name, vec![at("10.0.0.1"), at("10.0.0.1")]), once);
        let several = targets(&name, vec![at("10.0.0.2"), at("10.0.0.1")]);
        let behind = |host| SentinelTarget::behind(&name, at(host));
        assert_eq!(several, [behind("10.0.0.1"), behind("10.0.0.2")]);
    }

    #[tokio::test]
    async fn what_a_name_leads_to_is_told_with_a_hint() {
        let (publish, mut known) = watch::channel(Vec::new());
        let hints = Arc::new(Notify::new());
        let following = tokio::spawn(follow(at("localhost"), hints.clone(), publish));
        // By the first resolution, not the second.
        let patience = EVERY * 4 / 5;
        let told = timeout(patience, known.changed()).await;
        told.expect("in time").expect("it goes on");
        assert!(!known.borrow().is_empty());
        let hinted = timeout(patience, hints.notified()).await;
        hinted.expect("a hint");
        following.abort();
    }

    #[tokio::test]
    async fn an_address_is_not_resolved() {
        for address in ["10.0.0.1", "::1"] {
            assert_eq!(resolve(&at(address)).await, Ok(vec![at(address)]));
            let name = Name::start(&at(address), &Arc::default());
            assert!(name._task.is_none());
            assert_eq!(name.targets(), [SentinelTarget::named(at(address))]);
        }
        let local = resolve(&at("localhost")).await.expect("a known name");
        assert!(!local.is_empty() && local.iter().all(is_address));
        assert!(
            Name::start(&at("localhost"), &Arc::default())
                ._task
                .is_some()
        );
    }
}
