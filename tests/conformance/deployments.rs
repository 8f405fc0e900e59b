//! The ways to keep leases, with what each of them cannot give.

use std::any::Any;

use leasehold::{Config, Locker, MemoryStore};
use leasehold_testkit::{RIGHTS_VARIABLE, RedisCluster, RedisServer, SentinelCluster};
use leasehold_tests::{connect, eventually};

pub(crate) struct Deployment {
    variables: Vec<(String, String)>,
    store: Option<MemoryStore>,
    /// Deletes a key behind its holder's back.
    delete: Box<dyn Fn(&str) + Send + Sync>,
    /// Exception: with locking disabled everyone is granted everything and nothing is ever lost.
    pub(crate) excludes: bool,
    /// Exception: without Redis there is nothing to list, and nothing that only an operator could free. With the least
    /// rights a worker is no operator.
    pub(crate) has_operator: bool,
    _servers: Box<dyn Any + Send + Sync>,
}

impl Deployment {
    pub(crate) fn disabled() -> Self {
        let variables = vec![("IS_LOCKING_DISABLED".to_owned(), "true".to_owned())];
        Self {
            variables,
            store: None,
            delete: Box::new(|_| {}),
            excludes: false,
            has_operator: false,
            _servers: Box::new(()),
        }
    }

    pub(crate) fn in_memory() -> Self {
        let store = MemoryStore::new();
        let shared = store.clone();
        Self {
            variables: common(&[]),
            store: Some(store),
            delete: Box::new(move |key| shared.delete(key)),
            excludes: true,
            has_operator: false,
            _servers: Box::new(()),
        }
    }

    pub(crate) fn standalone(safety: &str) -> Self {
        let server = std::sync::Arc::new(RedisServer::start().expect("redis-server"));
        let deleting = server.clone();
        let port = server.port().to_string();
        Self {
            variables: common(&[
                ("REDIS_HOST", "127.0.0.1"),
                ("REDIS_PORT", &port),
                ("LOCK_SAFETY", safety),
            ]),
            store: None,
            delete: Box::new(move |key| drop(deleting.command(&["DEL", key]).expect("DEL"))),
            excludes: true,
            has_operator: may_operate(),
            _servers: Box::new(server),
        }
    }

    pub(crate) fn sentinel(safety: &str) -> Self {
        let cluster = std::sync::Arc::new(SentinelCluster::start().expect("a cluster"));
        let mut variables = common(&[("LOCK_SAFETY", safety)]);
        variables.extend(cluster.env());
        let deleting = cluster.clone();
        Self {
            variables,
            store: None,
            delete: Box::new(move |key| {
                let master = deleting.master().expect("a master");
                master.command(&["DEL", key]).expect("DEL");
            }),
            excludes: true,
            has_operator: may_operate(),
            _servers: Box::new(cluster),
        }
    }

    pub(crate) fn quorum(members: usize) -> Self {
        let servers: Vec<RedisServer> = (0..members)
            .map(|_| RedisServer::start().expect("redis-server"))
            .collect();
        let servers = std::sync::Arc::new(servers);
        let urls: Vec<String> = servers.iter().map(|server| server.url()).collect();
        let deleting = servers.clone();
        Self {
            variables: common(&[("LOCK_REDLOCK_NODES", &urls.join(","))]),
            store: None,
            delete: Box::new(move |key| {
                for server in deleting.iter() {
                    server.command(&["DEL", key]).expect("DEL");
                }
            }),
            excludes: true,
            has_operator: may_operate(),
            _servers: Box::new(servers),
        }
    }

    pub(crate) fn cluster() -> Self {
        let cluster = std::sync::Arc::new(RedisCluster::start().expect("a cluster"));
        let mut variables = common(&[]);
        variables.extend(cluster.env());
        let deleting = cluster.clone();
        Self {
            variables,
            store: None,
            delete: Box::new(move |key| {
                let owner = deleting.owner_of(key).expect("an owner");
                deleting.node(owner).command(&["DEL", key]).expect("DEL");
            }),
            excludes: true,
            has_operator: may_operate(),
            _servers: Box::new(cluster),
        }
    }

    /// A locker of its own, as another process would have, once the gates are open.
    pub(crate) async fn locker(&self, owner: &str) -> Locker {
        let locker = match &self.store {
            Some(store) => {
                let mut variables = self.variables.clone();
                variables.push(("REDIS_HOST".into(), "unused".into()));
                variables.push(("LOCK_OWNER".into(), owner.into()));
                let config = Config::from_vars(variables).expect("a configuration");
                Locker::in_memory_with(store, config.lock).expect("checked options")
            }
            None => connect(self.variables.clone(), &[("LOCK_OWNER", owner)])
                .await
                .expect("connect"),
        };
        eventually("open gates", async || {
            match locker.try_acquire(format!("warm-up of {owner}")).await {
                Ok(lease) => lease.release().await.is_ok(),
                Err(_) => false,
            }
        })
        .await;
        locker
    }

    pub(crate) fn delete(&self, key: &str) {
        (self.delete)(key);
    }
}

fn may_operate() -> bool {
    std::env::var_os(RIGHTS_VARIABLE).is_none()
}

fn common(more: &[(&str, &str)]) -> Vec<(String, String)> {
    let common = [
        ("IS_LOCKING_DISABLED", "false"),
        ("LOCK_TTL", "2s"),
        ("LOCK_MAX_TTL", "2s"),
        ("REDIS_COMMAND_TIMEOUT", "600ms"),
        ("LOCK_RETRY_INTERVAL", "200ms"),
    ];
    let all = common.iter().chain(more);
    all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}
