//! What a server reports about itself, on the connection that will be used.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use leasehold_config::Endpoint;

use crate::protocol::reply::{self, info_field};
use crate::transport::connection::Connection;
use crate::transport::server_errors::Failure;
use crate::unavailable::{Cause, Unavailable};

/// One uninterrupted life of one master's data. A promotion changes the first part, a restart both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incarnation {
    pub(crate) replication_id: Arc<str>,
    pub(crate) run_id: String,
}

/// A server's answer to "who are you".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) role: Role,
    pub(crate) incarnation: Incarnation,
    /// Where its replicas can be reached.
    pub(crate) replicas: BTreeSet<Endpoint>,
    /// Connections that replicate beyond one for each of these.
    pub(crate) others: usize,
    /// The server's time in µs since 1970, where it tells.
    pub(crate) server_us: Option<i64>,
}

/// What part a server plays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    Master,
    Replica { master: String },
    Sentinel,
}

/// Reads the identity of the server at the other end.
pub(crate) async fn read(connection: &Connection, limit: Duration) -> Result<Identity, Failure> {
    let questions = [&["INFO", "server"][..], &["INFO", "replication"]];
    let [server, replication] = connection.ask(questions, limit).await?;
    let identity = || parse(&reply::text(&server)?, &reply::text(&replication)?);
    identity().map_err(|cause| Failure::not_applied(Unavailable::on(connection.node(), cause)))
}

pub(crate) fn parse(server: &str, replication: &str) -> Result<Identity, Cause> {
    let missing = |field: &str| Cause::Protocol {
        detail: format!("INFO has no {field}"),
    };
    let run_id = info_field(server, "run_id")
        .ok_or_else(|| missing("run_id"))?
        .to_owned();
    let version = info_field(server, "redis_version").ok_or_else(|| missing("redis_version"))?;
    check_version(version)?;
    if info_field(server, "redis_mode") == Some("sentinel") {
        let incarnation = Incarnation {
            replication_id: Arc::default(),
            run_id,
        };
        return Ok(Identity {
            role: Role::Sentinel,
            incarnation,
            replicas: BTreeSet::new(),
            others: 0,
            server_us: None,
        });
    }
    let role = match info_field(replication, "role").ok_or_else(|| missing("role"))? {
        "master" => Role::Master,
        _ => {
            let host = info_field(replication, "master_host").unwrap_or("an unknown host");
            let port = info_field(replication, "master_port").unwrap_or("?");
            Role::Replica {
                master: format!("{host}:{port}").escape_debug().to_string(),
            }
        }
    };
    let replication_id = info_field(replication, "master_replid")
        .filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .ok_or_else(|| missing("master_replid"))?
        .into();
    let incarnation = Incarnation {
        replication_id,
        run_id,
    };
    let replicas = replicas(replication);
    let connected = info_field(replication, "connected_slaves");
    let connected: usize = connected.and_then(|count| count.parse().ok()).unwrap_or(0);
    let server_us = info_field(server, "server_time_usec").and_then(|time| time.parse().ok());
    Ok(Identity {
        server_us,
        role,
        incarnation,
        others: connected.saturating_sub(replicas.len()),
        replicas,
    })
}

/// Where a master's replicas can be reached. Who only listens (`redis-cli --rdb` or `--replica`) names no port, and a
/// replica that has just come again is listed twice for a while.
pub(crate) fn replicas(replication: &str) -> BTreeSet<Endpoint> {
    let mut replicas = BTreeSet::new();
    for line in replication.lines().filter(|line| line.starts_with("slave")) {
        let fields = line.split_once(':').map_or("", |(_, fields)| fields);
        let field = |name: &str| {
            let mut fields = fields.split(',');
            fields.find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let port = field("port").and_then(|port| port.parse().ok());
        if let (Some(host), Some(port @ 1..)) = (field("ip"), port) {
            replicas.insert(Endpoint::new(host, port));
        }
    }
    replicas
}

/// 6.2 is the oldest that has everything the scripts use.
fn check_version(version: &str) -> Result<(), Cause> {
    let mut parts = version
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or_default());
    let (major, minor) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    if (major, minor) >= (6, 2) {
        return Ok(());
    }
    Err(Cause::TooOld {
        detail: format!("version {}", version.escape_debug()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_from_6_2_on_are_accepted() {
        assert!(check_version("6.0.16").is_err());
        assert!(check_version("nonsense").is_err());
        for version in ["6.2.0", "7.0.15", "8.1", "255.255.255"] {
            assert_eq!(check_version(version), Ok(()), "{version}");
        }
    }

    #[test]
    fn a_replica_without_a_port_and_one_listed_twice_are_no_further_replicas() {
        let listed = "role:master\r\nconnected_slaves:5\r\n\
                      slave0:ip=10.0.0.2,port=6379,state=online,offset=9,lag=0\r\n\
                      slave1:ip=10.0.0.9,port=0,state=online,offset=0,lag=0\r\n\
                      slave2:ip=10.0.0.2,port=6379,state=wait_bgsave,offset=0,lag=0,type=rdb-channel\r\n\
                      slave3:ip=10.0.0.3,port=6379,state=online,offset=9,lag=1,type=replica\r\n\
                      slave4:nonsense\r\n";
        let expected = ["10.0.0.2", "10.0.0.3"].map(|host| Endpoint::new(host, 6379));
        assert_eq!(replicas(listed), BTreeSet::from(expected));
    }

    #[test]
    fn a_replica_tells_its_master() {
        let server = "redis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:ab\r\n";
        let replication = "role:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\n\
                           master_replid:00ff\r\nconnected_slaves:0\r\n";
        let identity = parse(server, replication).expect("an identity");
        assert_eq!(
            identity.role,
            Role::Replica {
                master: "10.0.0.1:6379".into()
            }
        );
    }
}
