//! The variables that say how to connect to whatever server.

use std::time::Duration;

use crate::nodes::{Credentials, DEFAULT_TIMEOUT, DEFAULT_USERNAME, NodeOptions, Tls};
use crate::overrides::written;
use crate::parse;
use crate::raw::Raw;
use crate::reader::Reader;
use crate::topology::Topology;

/// What all servers have in common.
pub(super) struct Connection {
    pub(super) nodes: NodeOptions,
    /// The settings of TLS, whether it is enabled or not: a URL may enable it.
    pub(super) tls: Tls,
    pub(super) sentinel_credentials: Credentials,
    pub(super) sentinel_tls: Option<Tls>,
}

pub(super) fn read(reader: &mut Reader, raw: &Raw, ttl: Duration) -> Connection {
    let tls = read_tls(reader, raw);
    let is_enabled = reader.read(
        "REDIS_TLS_ENABLED",
        raw.redis_tls_enabled.as_deref(),
        parse::boolean,
    );
    let is_enabled = is_enabled.unwrap_or(false);
    reader.default("REDIS_TLS_ENABLED", is_enabled.to_string());
    let is_sentinel_enabled = reader.read(
        "REDIS_SENTINEL_TLS_ENABLED",
        raw.redis_sentinel_tls_enabled.as_deref(),
        parse::boolean,
    );
    let is_sentinel_enabled = is_sentinel_enabled.unwrap_or(is_enabled);
    reader.default(
        "REDIS_SENTINEL_TLS_ENABLED",
        is_sentinel_enabled.to_string(),
    );

    let credentials = read_credentials(reader, raw);
    let sentinel_credentials = read_sentinel_credentials(reader, raw, &credentials);
    let database = reader.read("REDIS_DB", raw.redis_db.as_deref(), parse::database);
    reader.default("REDIS_DB", "0");
    let (connect_timeout, command_timeout) = read_timeouts(reader, raw, ttl);
    Connection {
        nodes: NodeOptions {
            credentials,
            database: database.unwrap_or(0),
            tls: is_enabled.then(|| tls.clone()),
            connect_timeout,
            command_timeout,
        },
        sentinel_tls: is_sentinel_enabled.then(|| tls.clone()),
        tls,
        sentinel_credentials,
    }
}

fn read_credentials(reader: &mut Reader, raw: &Raw) -> Credentials {
    let username = raw.redis_username.as_deref();
    let username = reader.read("REDIS_USERNAME", username, |name, text| {
        parse::word(name, text, DEFAULT_USERNAME)
    });
    reader.default("REDIS_USERNAME", DEFAULT_USERNAME);
    warn_of_placeholder(reader, "REDIS_PASSWORD", raw.redis_password.as_deref());
    if raw.redis_password.is_none() && username.as_deref().is_some_and(|u| u != DEFAULT_USERNAME) {
        let message = "is without effect, as there is no REDIS_PASSWORD";
        reader.warn("REDIS_USERNAME", message);
    }
    let password = raw.redis_password.as_deref();
    Credentials {
        username: username.unwrap_or_else(|| DEFAULT_USERNAME.to_owned()),
        password: password.map(|password| reader.secret("REDIS_PASSWORD", password)),
    }
}

/// Sentinels commonly share the password of the data nodes, but not their ACL users.
fn read_sentinel_credentials(reader: &mut Reader, raw: &Raw, nodes: &Credentials) -> Credentials {
    let username = raw.redis_sentinel_username.as_deref();
    let username = reader.read("REDIS_SENTINEL_USERNAME", username, |name, text| {
        parse::word(name, text, DEFAULT_USERNAME)
    });
    reader.default("REDIS_SENTINEL_USERNAME", DEFAULT_USERNAME);
    let password = raw.redis_sentinel_password.as_deref();
    warn_of_placeholder(reader, "REDIS_SENTINEL_PASSWORD", password);
    if nodes.password.is_some() {
        reader.default("REDIS_SENTINEL_PASSWORD", crate::secret::HIDDEN);
    }
    let password = password.map(|password| reader.secret("REDIS_SENTINEL_PASSWORD", password));
    Credentials {
        username: username.unwrap_or_else(|| DEFAULT_USERNAME.to_owned()),
        password: password.or_else(|| nodes.password.clone()),
    }
}

fn warn_of_placeholder(reader: &mut Reader, name: &'static str, password: Option<&str>) {
    let placeholders = ["your_secure_password", "your_password", "changeme"];
    if password.is_some_and(|password| placeholders.contains(&password)) {
        reader.warn(name, "is still the placeholder of a documentation");
    }
}

fn read_timeouts(reader: &mut Reader, raw: &Raw, ttl: Duration) -> (Duration, Duration) {
    let connect = raw.redis_connect_timeout.as_deref();
    let connect = reader.duration("REDIS_CONNECT_TIMEOUT", connect, "2s");
    let connect = connect.unwrap_or(DEFAULT_TIMEOUT);
    reader.default("REDIS_CONNECT_TIMEOUT", written(connect));

    let command = raw.redis_command_timeout.as_deref();
    let command = reader.duration("REDIS_COMMAND_TIMEOUT", command, "2s");
    let command = command.unwrap_or_else(|| default_command_timeout(ttl));
    reader.default("REDIS_COMMAND_TIMEOUT", written(command));
    (connect, command)
}

/// Two seconds, or less for a short TTL: `LOCK_TTL` alone must not cause an error about another variable.
fn default_command_timeout(ttl: Duration) -> Duration {
    if DEFAULT_TIMEOUT < ttl / 3 {
        DEFAULT_TIMEOUT
    } else {
        ttl / 4
    }
}

fn read_tls(reader: &mut Reader, raw: &Raw) -> Tls {
    let ca_file = raw.redis_tls_ca_file.as_deref();
    let cert_file = raw.redis_tls_cert_file.as_deref();
    let key_file = raw.redis_tls_key_file.as_deref();
    let server_name = raw.redis_tls_server_name.as_deref();
    let insecure = raw.redis_tls_insecure.as_deref();
    let insecure = reader.read("REDIS_TLS_INSECURE", insecure, parse::boolean);
    reader.default("REDIS_TLS_INSECURE", "false");
    reader.default("REDIS_TLS_CA_FILE", "the system's certificate authorities");
    Tls {
        ca_file: reader.read("REDIS_TLS_CA_FILE", ca_file, parse::file),
        cert_file: reader.read("REDIS_TLS_CERT_FILE", cert_file, parse::file),
        key_file: reader.read("REDIS_TLS_KEY_FILE", key_file, parse::file),
        server_name: reader.read("REDIS_TLS_SERVER_NAME", server_name, parse::host),
        insecure: insecure.unwrap_or(false),
    }
}

pub(super) fn warn_of_tls(reader: &mut Reader, topology: &Topology) {
    let all = match topology {
        Topology::Sentinel(sentinel) => vec![&sentinel.tls, &sentinel.nodes.tls],
        Topology::Standalone(standalone) => vec![&standalone.nodes.tls],
        Topology::Cluster(cluster) => vec![&cluster.nodes.tls],
        Topology::Quorum(quorum) => quorum.members.iter().map(|m| &m.nodes.tls).collect(),
    };
    let used: Vec<&Tls> = all.into_iter().flatten().collect();
    if used.iter().any(|tls| tls.insecure) {
        let message =
            "accepts any certificate: anybody on the network path can read and change everything";
        reader.warn("REDIS_TLS_INSECURE", message);
    }
    if used.is_empty() {
        for name in [
            "REDIS_TLS_CA_FILE",
            "REDIS_TLS_CERT_FILE",
            "REDIS_TLS_KEY_FILE",
            "REDIS_TLS_SERVER_NAME",
        ] {
            if reader.is_set(name) {
                let message = "is without effect, as TLS is not enabled (REDIS_TLS_ENABLED=true)";
                reader.warn(name, message);
            }
        }
    }
}
