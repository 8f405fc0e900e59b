//! Rules that bind several values, for configurations that were read and for those made in code.

use std::time::Duration;

use crate::config::Config;
use crate::error::ProblemKind;
use crate::lock_options::{LockOptions, Renewal};
use crate::nodes::{NodeOptions, Tls};
use crate::notes::Rejection;
use crate::topology::{Locking, Topology};

const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Values that do not fit together.
pub(crate) struct Misfit {
    /// The variable to blame.
    pub(crate) variable: &'static str,
    /// Every variable that takes part; if one was not understood, the misfit means nothing.
    pub(crate) involved: &'static [&'static str],
    pub(crate) rejection: Rejection,
}

pub(crate) fn misfits(config: &Config) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    check_leases(&config.lock, &mut misfits);
    if let Locking::Enabled(topology) = &config.locking {
        check_servers(topology, config.lock.ttl, &mut misfits);
    }
    misfits
}

fn check_leases(lock: &LockOptions, misfits: &mut Vec<Misfit>) {
    for (name, duration) in [
        ("LOCK_TTL", lock.ttl),
        ("LOCK_MAX_TTL", lock.max_ttl),
        ("LOCK_RETRY_INTERVAL", lock.retry_interval),
    ] {
        check_length(name, duration, misfits);
    }
    if lock.ttl > lock.max_ttl {
        misfits.push(Misfit {
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
        check_length("LOCK_RENEW_INTERVAL", interval, misfits);
        if interval >= lock.ttl {
            misfits.push(Misfit {
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

fn check_servers(topology: &Topology, ttl: Duration, misfits: &mut Vec<Misfit>) {
    match topology {
        Topology::Sentinel(sentinel) => {
            if sentinel.sentinels.is_empty() {
                misfits.push(no_address("REDIS_SENTINEL_HOSTS"));
            }
            check_nodes(&sentinel.nodes, ttl, misfits);
            // The same files serve both, so one look is enough where both are set.
            if sentinel.nodes.tls.is_none() {
                check_tls(sentinel.tls.as_ref(), misfits);
            }
        }
        Topology::Standalone(standalone) => check_nodes(&standalone.nodes, ttl, misfits),
        Topology::Cluster(cluster) => {
            if cluster.seeds.is_empty() {
                misfits.push(no_address("REDIS_CLUSTER_NODES"));
            }
            check_nodes(&cluster.nodes, ttl, misfits);
            if cluster.nodes.database != 0 {
                misfits.push(database_of_cluster());
            }
        }
        Topology::Quorum(quorum) => match quorum.members.first() {
            None => misfits.push(no_address("LOCK_REDLOCK_NODES")),
            Some(member) => check_nodes(&member.nodes, ttl, misfits),
        },
    }
}

fn check_nodes(nodes: &NodeOptions, ttl: Duration, misfits: &mut Vec<Misfit>) {
    check_length("REDIS_CONNECT_TIMEOUT", nodes.connect_timeout, misfits);
    check_length("REDIS_COMMAND_TIMEOUT", nodes.command_timeout, misfits);
    if nodes.command_timeout >= ttl / 3 {
        misfits.push(Misfit {
            variable: "REDIS_COMMAND_TIMEOUT",
            involved: &["LOCK_TTL", "REDIS_COMMAND_TIMEOUT"],
            rejection: inconsistent(
                format!("is not below a third of LOCK_TTL ({ttl:?}), so that a lease could end before a failed renewal is noticed"),
                "less than a third of LOCK_TTL",
                format!("REDIS_COMMAND_TIMEOUT={:?}", ttl / 4),
            ),
        });
    }
    check_tls(nodes.tls.as_ref(), misfits);
}

fn check_tls(tls: Option<&Tls>, misfits: &mut Vec<Misfit>) {
    let Some(tls) = tls else {
        return;
    };
    let (variable, other) = match (&tls.cert_file, &tls.key_file) {
        (Some(_), None) => ("REDIS_TLS_CERT_FILE", "REDIS_TLS_KEY_FILE"),
        (None, Some(_)) => ("REDIS_TLS_KEY_FILE", "REDIS_TLS_CERT_FILE"),
        _ => return,
    };
    misfits.push(Misfit {
        variable,
        involved: &["REDIS_TLS_CERT_FILE", "REDIS_TLS_KEY_FILE"],
        rejection: inconsistent(
            format!("is set without {other}"),
            "both or neither",
            format!("{other}=/etc/redis/tls.pem"),
        ),
    });
}

/// A millisecond is what Redis counts in; up to 365 days nothing that is computed from it overflows.
fn check_length(variable: &'static str, length: Duration, misfits: &mut Vec<Misfit>) {
    if length < Duration::from_millis(1) {
        misfits.push(too_short(variable));
    }
    if length > LONGEST {
        misfits.push(Misfit {
            variable,
            involved: &[],
            rejection: inconsistent(
                "is longer than 365 days".to_owned(),
                crate::parse::DURATIONS,
                format!("{variable}=5s"),
            ),
        });
    }
}

fn too_short(variable: &'static str) -> Misfit {
    Misfit {
        variable,
        involved: &[],
        rejection: inconsistent(
            "is shorter than a millisecond".to_owned(),
            crate::parse::DURATIONS,
            format!("{variable}=5s"),
        ),
    }
}

fn no_address(variable: &'static str) -> Misfit {
    Misfit {
        variable,
        involved: &[],
        rejection: inconsistent(
            "has no entry".to_owned(),
            "host:port, separated by commas",
            format!("{variable}=host-1,host-2,host-3"),
        ),
    }
}

fn database_of_cluster() -> Misfit {
    Misfit {
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
