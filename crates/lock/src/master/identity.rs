//! What a server reports about itself, on the connection that will be used.

use std::sync::Arc;
use std::time::Duration;

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
    pub(crate) connected_replicas: usize,
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
    let mut questions = redis::pipe();
    questions
        .cmd("INFO")
        .arg("server")
        .cmd("INFO")
        .arg("replication");
    let answers = connection.run_all(&questions, limit).await?;
    let mut texts = answers.into_iter().map(|answer| {
        let answer = connection.checked(answer)?;
        reply::text(&answer).map_err(|unexpected| protocol(connection, unexpected.detail))
    });
    let (Some(server), Some(replication)) = (texts.next(), texts.next()) else {
        return Err(protocol(connection, "INFO went unanswered".into()));
    };
    parse(&server?, &replication?)
        .map_err(|cause| Failure::not_applied(Unavailable::on(connection.node(), cause)))
}

fn protocol(connection: &Connection, detail: String) -> Failure {
    Failure::not_applied(Unavailable::on(
        connection.node(),
        Cause::Protocol { detail },
    ))
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
            connected_replicas: 0,
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
    let connected_replicas = info_field(replication, "connected_slaves")
        .and_then(|count| count.parse().ok())
        .unwrap_or_default();
    let incarnation = Incarnation {
        replication_id,
        run_id,
    };
    let server_us = info_field(server, "server_time_usec").and_then(|time| time.parse().ok());
    Ok(Identity {
        server_us,
        role,
        incarnation,
        connected_replicas,
    })
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
