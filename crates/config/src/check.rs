//! Rules that bind values, for configurations that were read and for those made in code.

use std::time::Duration;

use crate::config::Config;
use crate::diagnostics::Rejection;
use crate::endpoint::{self, Endpoint};
use crate::error::{ConfigError, Problem, ProblemKind};
use crate::lock_options::{LONGEST, LockOptions, Renewal, SHORTEST, SHORTEST_TTL};
use crate::nodes::{NodeOptions, Tls};
use crate::overrides::written;
use crate::parse;
use crate::setting::Setting;
use crate::source::Source;
use crate::topology::{Locking, QuorumTopology, Topology};

/// A value out of bounds, or values that do not fit together.
pub(crate) struct Inconsistency {
    /// The variable to blame.
    pub(crate) variable: &'static str,
    /// Every variable that takes part; if one was not understood, the inconsistency means nothing.
    pub(crate) involved: &'static [&'static str],
    pub(crate) rejection: Rejection,
}

impl Config {
    /// Checks the bounds of all values and the rules that bind several of them, for a configuration that was made
    /// or changed in code. The SDK calls it before it connects.
    ///
    /// Every duration is from 1 ms to 365 days, `LOCK_TTL` and `LOCK_MAX_TTL` from 100 ms.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] lists everything that is out of bounds or does not fit together.
    ///
    /// ```
    /// use std::time::Duration;
    /// use leasehold_config::{Config, Locking};
    ///
    /// let mut config = Config::new(Locking::Disabled);
    /// assert!(config.check().is_ok());
    /// config.lock.ttl = Duration::from_secs(60);
    /// let error = config.check().expect_err("longer than the longest lease");
    /// assert_eq!(error.problems()[0].variable(), "LOCK_TTL");
    /// ```
    pub fn check(&self) -> Result<(), ConfigError> {
        let source = |variable: &str| {
            let setting = self.settings.iter().find(|s| s.name == variable);
            setting.map_or(&Source::Builder, Setting::source)
        };
        verdict(inconsistencies(self), source)
    }
}

impl LockOptions {
    /// Checks the bounds of all values and the rules that bind several of them.
    ///
    /// # Errors
    ///
    /// As [`Config::check`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use leasehold_config::LockOptions;
    ///
    /// let mut options = LockOptions::default();
    /// assert!(options.check().is_ok());
    /// options.retry_interval = Duration::ZERO;
    /// assert!(options.check().is_err());
    /// ```
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut found = Vec::new();
        check_leases(self, &mut found);
        verdict(found, |_| &Source::Builder)
    }
}

impl Renewal {
    /// Checks the bounds of an interval: from 1 ms to 365 days.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names `LOCK_RENEW_INTERVAL`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use leasehold_config::Renewal;
    ///
    /// assert!(Renewal::Off.check().is_ok());
    /// assert!(Renewal::Every(Duration::ZERO).check().is_err());
    /// ```
    pub fn check(self) -> Result<(), ConfigError> {
        let mut found = Vec::new();
        if let Self::Every(interval) = self {
            check_duration("LOCK_RENEW_INTERVAL", interval, SHORTEST, &mut found);
        }
        verdict(found, |_| &Source::Builder)
    }
}

fn verdict<'a>(
    found: Vec<Inconsistency>,
    source: impl Fn(&str) -> &'a Source,
) -> Result<(), ConfigError> {
    let problem = |inconsistency: Inconsistency| {
        let source = source(inconsistency.variable);
        inconsistency
            .rejection
            .at(inconsistency.variable, source, None)
    };
    let problems: Vec<Problem> = found.into_iter().map(problem).collect();
    match problems.is_empty() {
        true => Ok(()),
        false => Err(ConfigError {
            problems,
            warnings: Vec::new(),
        }),
    }
}

pub(crate) fn inconsistencies(config: &Config) -> Vec<Inconsistency> {
    let mut found = Vec::new();
    check_leases(&config.lock, &mut found);
    if let Some(name) = &config.client_name {
        check_text("REDIS_CLIENT_NAME", parse::word("", name, ""), &mut found);
    }
    if let Locking::Enabled(topology) = &config.locking {
        check_servers(topology, config.lock.ttl, &mut found);
    }
    found
}

fn check_leases(lock: &LockOptions, inconsistencies: &mut Vec<Inconsistency>) {
    check_duration("LOCK_TTL", lock.ttl, SHORTEST_TTL, inconsistencies);
    check_duration("LOCK_MAX_TTL", lock.max_ttl, SHORTEST_TTL, inconsistencies);
    let skew = lock.max_clock_skew;
    check_duration("LOCK_MAX_CLOCK_SKEW", skew, SHORTEST, inconsistencies);
    let retry = lock.retry_interval;
    check_duration("LOCK_RETRY_INTERVAL", retry, SHORTEST, inconsistencies);
    if let Some(timeout) = lock.acquire_timeout {
        check_duration("LOCK_ACQUIRE_TIMEOUT", timeout, SHORTEST, inconsistencies);
    }
    let prefix = parse::name("", &lock.key_prefix, "");
    check_text("LOCK_KEY_PREFIX", prefix, inconsistencies);
    let owner = parse::name("", &lock.owner, "");
    check_text("LOCK_OWNER", owner, inconsistencies);
    if lock.ttl > lock.max_ttl {
        inconsistencies.push(Inconsistency {
            variable: "LOCK_TTL",
            involved: &["LOCK_TTL", "LOCK_MAX_TTL"],
            rejection: inconsistent(
                format!("is longer than LOCK_MAX_TTL ({:?})", lock.max_ttl),
                "at most LOCK_MAX_TTL, which must be the same for all clients of this Redis",
                format!("LOCK_MAX_TTL={:?}", lock.ttl),
            ),
        });
    }
    if let Renewal::Every(interval) = lock.renewal {
        check_duration("LOCK_RENEW_INTERVAL", interval, SHORTEST, inconsistencies);
        if interval >= lock.ttl {
            inconsistencies.push(Inconsistency {
                variable: "LOCK_RENEW_INTERVAL",
                involved: &["LOCK_TTL", "LOCK_RENEW_INTERVAL"],
                rejection: inconsistent(
                    format!("is not shorter than LOCK_TTL ({:?})", lock.ttl),
                    "less than LOCK_TTL, a third of it as a rule; or off",
                    format!("LOCK_RENEW_INTERVAL={:?}", lock.ttl / 3),
                ),
            });
        }
    }
}

fn check_servers(topology: &Topology, ttl: Duration, inconsistencies: &mut Vec<Inconsistency>) {
    match topology {
        Topology::Sentinel(sentinel) => {
            let addresses = sentinel.sentinels.iter();
            check_addresses("REDIS_SENTINEL_HOSTS", addresses, inconsistencies);
            let service = parse::word("", &sentinel.service, "");
            check_text("REDIS_SENTINEL_SERVICE", service, inconsistencies);
            check_nodes(&sentinel.nodes, ttl, inconsistencies);
            // The same files serve both, so one look is enough where both are set.
            if sentinel.nodes.tls.is_none() {
                check_tls(sentinel.tls.as_ref(), inconsistencies);
            }
        }
        Topology::Standalone(standalone) => {
            let address = std::iter::once(&standalone.endpoint);
            check_addresses("REDIS_HOST", address, inconsistencies);
            check_nodes(&standalone.nodes, ttl, inconsistencies);
        }
        Topology::Cluster(cluster) => {
            let addresses = cluster.seeds.iter();
            check_addresses("REDIS_CLUSTER_NODES", addresses, inconsistencies);
            check_nodes(&cluster.nodes, ttl, inconsistencies);
            if cluster.nodes.database != 0 {
                inconsistencies.push(database_of_cluster());
            }
        }
        Topology::Quorum(quorum) => check_quorum(quorum, ttl, inconsistencies),
    }
}

fn check_quorum(quorum: &QuorumTopology, ttl: Duration, inconsistencies: &mut Vec<Inconsistency>) {
    let addresses: Vec<&Endpoint> = quorum.members.iter().map(|m| &m.endpoint).collect();
    check_addresses(
        "LOCK_REDLOCK_NODES",
        addresses.iter().copied(),
        inconsistencies,
    );
    let mut distinct = addresses.clone();
    distinct.sort();
    distinct.dedup();
    if distinct.len() < addresses.len() {
        inconsistencies.push(alone(
            "LOCK_REDLOCK_NODES",
            parse::TWO_VOTES,
            "each server once",
            "LOCK_REDLOCK_NODES=host-1,host-2,host-3".to_owned(),
        ));
    }
    // What is wrong with several members in the same way is told once.
    for member in &quorum.members {
        let mut found = Vec::new();
        check_nodes(&member.nodes, ttl, &mut found);
        if !found.is_empty() {
            inconsistencies.append(&mut found);
            return;
        }
    }
}

fn check_nodes(nodes: &NodeOptions, ttl: Duration, inconsistencies: &mut Vec<Inconsistency>) {
    let (connect, command) = (nodes.connect_timeout, nodes.command_timeout);
    check_duration("REDIS_CONNECT_TIMEOUT", connect, SHORTEST, inconsistencies);
    check_duration("REDIS_COMMAND_TIMEOUT", command, SHORTEST, inconsistencies);
    if nodes.command_timeout >= ttl / 3 {
        inconsistencies.push(Inconsistency {
            variable: "REDIS_COMMAND_TIMEOUT",
            involved: &["LOCK_TTL", "REDIS_COMMAND_TIMEOUT"],
            rejection: inconsistent(
                format!("is not below a third of LOCK_TTL ({ttl:?}), so that a lease could end before a failed renewal is noticed"),
                "less than a third of LOCK_TTL",
                format!("REDIS_COMMAND_TIMEOUT={:?}", ttl / 4),
            ),
        });
    }
    check_tls(nodes.tls.as_ref(), inconsistencies);
}

fn check_tls(tls: Option<&Tls>, inconsistencies: &mut Vec<Inconsistency>) {
    let Some(tls) = tls else {
        return;
    };
    let (variable, other) = match (&tls.cert_file, &tls.key_file) {
        (Some(_), None) => ("REDIS_TLS_CERT_FILE", "REDIS_TLS_KEY_FILE"),
        (None, Some(_)) => ("REDIS_TLS_KEY_FILE", "REDIS_TLS_CERT_FILE"),
        _ => return,
    };
    inconsistencies.push(Inconsistency {
        variable,
        involved: &["REDIS_TLS_CERT_FILE", "REDIS_TLS_KEY_FILE"],
        rejection: inconsistent(
            format!("is set without {other}"),
            "both or neither",
            format!("{other}=/etc/redis/tls.pem"),
        ),
    });
}

fn check_duration(
    variable: &'static str,
    duration: Duration,
    shortest: Duration,
    inconsistencies: &mut Vec<Inconsistency>,
) {
    let message = if duration < shortest {
        format!("is shorter than {}", written(shortest))
    } else if duration > LONGEST {
        "is longer than 365 days".to_owned()
    } else {
        return;
    };
    let accepted = format!("from {} to 365 days", written(shortest));
    let example = format!("{variable}=5s");
    inconsistencies.push(alone(variable, &message, &accepted, example));
}

fn check_text(
    variable: &'static str,
    parsed: parse::Parsed<String>,
    inconsistencies: &mut Vec<Inconsistency>,
) {
    let text = match parsed {
        Ok(text) => text,
        Err(rejection) => {
            let example = format!("{variable}=orders");
            let (message, accepted) = (&rejection.message, &rejection.accepted);
            inconsistencies.push(alone(variable, message, accepted, example));
            return;
        }
    };
    if text.is_empty() && variable == "REDIS_SENTINEL_SERVICE" {
        let example = format!("{variable}=mymaster");
        inconsistencies.push(alone(variable, "is empty", "one word", example));
    }
}

fn check_addresses<'a>(
    variable: &'static str,
    addresses: impl Iterator<Item = &'a Endpoint>,
    inconsistencies: &mut Vec<Inconsistency>,
) {
    let mut number = 0;
    for address in addresses {
        number += 1;
        if let Err(error) = endpoint::check(address) {
            let message = format!("has an entry that is not host:port: number {number} {error}");
            let example = format!("{variable}=host-1");
            inconsistencies.push(alone(variable, &message, "host and port", example));
            return;
        }
    }
    if number == 0 {
        let example = format!("{variable}=host-1,host-2,host-3");
        let accepted = "host:port, separated by commas";
        inconsistencies.push(alone(variable, "has no entry", accepted, example));
    }
}

/// What is wrong with one value by itself.
fn alone(variable: &'static str, message: &str, accepted: &str, example: String) -> Inconsistency {
    Inconsistency {
        variable,
        involved: &[],
        rejection: inconsistent(message.to_owned(), accepted, example),
    }
}

fn database_of_cluster() -> Inconsistency {
    Inconsistency {
        variable: "REDIS_DB",
        involved: &["REDIS_DB"],
        rejection: inconsistent(
            "is not 0, but a Redis Cluster has no other database".to_owned(),
            "0",
            "REDIS_DB=0".to_owned(),
        ),
    }
}

fn inconsistent(message: String, accepted: &str, example: String) -> Rejection {
    Rejection::value(message, accepted, example).of_kind(ProblemKind::Inconsistent)
}
