//! The variables that say which servers keep the locks.

use std::net::IpAddr;

use super::connection::Connection;
use crate::address_map::AddressMap;
use crate::diagnostics::Rejection;
use crate::endpoint::Endpoint;
use crate::error::ProblemKind;
use crate::mention::SERVER_VARIABLES;
use crate::nodes::{Credentials, DEFAULT_USERNAME, NodeOptions};
use crate::parse::{self, Parsed};
use crate::raw::Raw;
use crate::reader::Reader;
use crate::secret::Secret;
use crate::topology::{
    ClusterTopology, QuorumTopology, SentinelTopology, StandaloneTopology, Topology,
};
use crate::url::{self, DEFAULT_PORT, Url};

const SENTINEL_PORT: u16 = 26379;
const DEFAULT_SERVICE: &str = "mymaster";

/// Each of these chooses a topology; `REDIS_URL` counts where none of them is set.
const CHOICES: [&str; 4] = [
    "REDIS_SENTINEL_HOSTS",
    "REDIS_CLUSTER_NODES",
    "LOCK_REDLOCK_NODES",
    "REDIS_HOST",
];

/// Whether a variable names servers, also with a value that was refused.
pub(super) fn is_any_set(reader: &Reader) -> bool {
    SERVER_VARIABLES
        .iter()
        .any(|name| reader.is_set(name) || reader.was_rejected(name))
}

/// The servers, or `None` if there are none, or, with problems noted, if they cannot be told.
pub(super) fn read(reader: &mut Reader, raw: &Raw, connection: &Connection) -> Option<Topology> {
    let mut chosen: Vec<&'static str> = CHOICES.into_iter().filter(|n| reader.is_set(n)).collect();
    if chosen.first() == Some(&"REDIS_SENTINEL_HOSTS") && chosen.last() == Some(&"REDIS_HOST") {
        chosen.pop();
        let message = format!(
            "is ignored beside {}, which names the master",
            reader.mention("REDIS_SENTINEL_HOSTS")
        );
        reader.warn("REDIS_HOST", message);
    }
    warn_of_idle(reader, &chosen);
    // Read whatever is chosen, so that a malformed map is told of in every topology.
    let map = raw.redis_address_map.as_deref();
    let map = reader.read("REDIS_ADDRESS_MAP", map, address_map);
    if let [first, others @ ..] = chosen.as_slice()
        && !others.is_empty()
    {
        let rejection = collision(reader, others);
        reader.reject(first, rejection);
        return None;
    }
    let map = map.unwrap_or_default();
    match chosen.first().copied() {
        Some("REDIS_SENTINEL_HOSTS") => read_sentinel(reader, raw, connection, map),
        Some("REDIS_CLUSTER_NODES") => read_cluster(reader, raw, connection, map),
        Some("LOCK_REDLOCK_NODES") => read_quorum(reader, raw, connection),
        Some(_) => read_host(reader, raw, connection),
        None => read_url(reader, raw, connection),
    }
}

fn read_sentinel(
    reader: &mut Reader,
    raw: &Raw,
    connection: &Connection,
    address_map: AddressMap,
) -> Option<Topology> {
    let service = raw.redis_sentinel_service.as_deref();
    let service = reader.read("REDIS_SENTINEL_SERVICE", service, |name, text| {
        parse::word(name, text, DEFAULT_SERVICE)
    });
    reader.default("REDIS_SENTINEL_SERVICE", DEFAULT_SERVICE);
    let sentinels = read_endpoints(
        reader,
        "REDIS_SENTINEL_HOSTS",
        raw.redis_sentinel_hosts.as_deref(),
        SENTINEL_PORT,
    )?;
    if sentinels.len() < 3 && sentinels.iter().all(is_one_server) {
        let message = format!(
            "names {} Sentinel{}; with fewer than three no majority survives the loss of one",
            sentinels.len(),
            if sentinels.len() == 1 { "" } else { "s" }
        );
        reader.warn("REDIS_SENTINEL_HOSTS", message);
    }
    Some(Topology::Sentinel(SentinelTopology {
        sentinels,
        service: service.unwrap_or_else(|| DEFAULT_SERVICE.to_owned()),
        credentials: connection.sentinel_credentials.clone(),
        tls: connection.sentinel_tls.clone(),
        nodes: connection.nodes.clone(),
        address_map,
    }))
}

/// A name may stand for several servers, as that of a Service does.
fn is_one_server(endpoint: &Endpoint) -> bool {
    let host = endpoint.host();
    host.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost")
}

fn read_cluster(
    reader: &mut Reader,
    raw: &Raw,
    connection: &Connection,
    address_map: AddressMap,
) -> Option<Topology> {
    let text = raw.redis_cluster_nodes.as_deref();
    let seeds = read_endpoints(reader, "REDIS_CLUSTER_NODES", text, DEFAULT_PORT)?;
    Some(Topology::Cluster(ClusterTopology {
        seeds,
        nodes: connection.nodes.clone(),
        address_map,
    }))
}

fn read_quorum(reader: &mut Reader, raw: &Raw, connection: &Connection) -> Option<Topology> {
    let text = raw.lock_redlock_nodes.as_deref();
    let mut urls = reader.read("LOCK_REDLOCK_NODES", text, urls)?;
    for url in &mut urls {
        let endpoint = url.endpoint.clone();
        read_password_again(reader, "LOCK_REDLOCK_NODES", url, move |text| {
            let urls = self::urls("LOCK_REDLOCK_NODES", text).ok()?;
            urls.into_iter().find(|url| url.endpoint == endpoint)
        });
    }
    let shown: Vec<String> = urls.iter().map(Url::shown).collect();
    reader.show("LOCK_REDLOCK_NODES", shown.join(","));
    let options: Vec<String> = urls
        .iter()
        .flat_map(|u| u.unknown_options.clone())
        .collect();
    warn_of_options(reader, "LOCK_REDLOCK_NODES", &options);
    if urls.len() < 3 || urls.len() % 2 == 0 {
        let message = format!(
            "names {} masters; an odd number from three on bears the most losses",
            urls.len()
        );
        reader.warn("LOCK_REDLOCK_NODES", message);
    }
    let members = urls.into_iter().map(|url| member(url, connection));
    Some(Topology::Quorum(QuorumTopology::new(members)))
}

fn read_host(reader: &mut Reader, raw: &Raw, connection: &Connection) -> Option<Topology> {
    let port = reader.read("REDIS_PORT", raw.redis_port.as_deref(), parse::port);
    reader.default("REDIS_PORT", DEFAULT_PORT.to_string());
    let host = reader.read("REDIS_HOST", raw.redis_host.as_deref(), parse::host)?;
    warn_of_placeholder_host(reader, "REDIS_HOST", std::iter::once(host.as_str()));
    Some(Topology::Standalone(StandaloneTopology {
        endpoint: Endpoint::new(host, port.unwrap_or(DEFAULT_PORT)),
        nodes: connection.nodes.clone(),
    }))
}

fn read_url(reader: &mut Reader, raw: &Raw, connection: &Connection) -> Option<Topology> {
    let mut url = reader.read("REDIS_URL", raw.redis_url.as_deref(), url::parse)?;
    read_password_again(reader, "REDIS_URL", &mut url, |text| {
        url::parse("REDIS_URL", text.trim()).ok()
    });
    reader.show("REDIS_URL", url.shown());
    warn_of_options(reader, "REDIS_URL", &url.unknown_options);
    if url.password.is_some() && raw.redis_password.is_some() {
        reader.warn("REDIS_PASSWORD", "is ignored, as REDIS_URL has a password");
    }
    let is_other_database = url.database.is_some_and(|n| n != connection.nodes.database);
    if is_other_database && raw.redis_db.is_some() {
        reader.warn("REDIS_DB", "is ignored, as REDIS_URL names a database");
    }
    warn_of_placeholder_host(reader, "REDIS_URL", std::iter::once(url.endpoint.host()));
    Some(Topology::Standalone(member(url, connection)))
}

/// Where the URL is in a file, its password follows the file; the rest of it stays as it was at the start.
fn read_password_again(
    reader: &Reader,
    name: &str,
    url: &mut Url,
    parse: impl Fn(&str) -> Option<Url> + Send + Sync + 'static,
) {
    let password = url.password.as_ref().map(Secret::reveal);
    url.password = password.map(|password| {
        Secret::found_in(reader.file(name), password, move |text| {
            let password = parse(text)?.password?;
            Some(password.reveal().to_owned())
        })
    });
}

fn read_endpoints(
    reader: &mut Reader,
    name: &'static str,
    text: Option<&str>,
    default_port: u16,
) -> Option<Vec<Endpoint>> {
    let endpoints = reader.read(name, text, |name, text| {
        parse::endpoints(name, text, default_port)
    })?;
    let written = text.map_or(0, |text| parse::entries(text).count());
    if written > endpoints.len() {
        reader.warn(name, "names the same address more than once");
    }
    warn_of_placeholder_host(reader, name, endpoints.iter().map(Endpoint::host));
    Some(endpoints)
}

/// One server of its own: what its URL leaves open is as everywhere else.
fn member(url: Url, connection: &Connection) -> StandaloneTopology {
    let common = &connection.nodes;
    let credentials = match (url.username, url.password) {
        (username, Some(password)) => Credentials {
            username: username.unwrap_or_else(|| DEFAULT_USERNAME.to_owned()),
            password: Some(password),
        },
        (Some(username), None) => Credentials {
            username,
            password: common.credentials.password.clone(),
        },
        (None, None) => common.credentials.clone(),
    };
    StandaloneTopology {
        endpoint: url.endpoint,
        nodes: NodeOptions {
            credentials,
            database: url.database.unwrap_or(common.database),
            tls: match url.is_tls {
                true => Some(connection.tls.clone()),
                false => common.tls.clone(),
            },
            ..common.clone()
        },
    }
}

/// URLs or `host[:port]`, separated by commas.
fn urls(name: &str, text: &str) -> Parsed<Vec<Url>> {
    let reject = |message: String| {
        Rejection::value(
            message,
            "URLs or host:port (default port 6379), separated by commas; special characters in passwords, also commas, percent-encoded",
            format!("{name}=redis://redis-1:6379,redis://redis-2:6379,redis://redis-3:6379"),
        )
    };
    let mut urls: Vec<Url> = Vec::new();
    for (index, entry) in parse::entries(text).enumerate() {
        let number = index + 1;
        let as_url = match entry.contains("://") {
            true => entry.to_owned(),
            false => format!("redis://{entry}"),
        };
        let url = url::parse(name, &as_url).map_err(|rejection| {
            reject(format!(
                "has an entry that is not a server: number {number} {}",
                rejection.message
            ))
        })?;
        if urls.iter().any(|known| known.endpoint == url.endpoint) {
            return Err(reject(parse::TWO_VOTES.to_owned()));
        }
        urls.push(url);
    }
    if urls.is_empty() {
        return Err(reject("has no entry".to_owned()));
    }
    Ok(urls)
}

fn address_map(name: &str, text: &str) -> Parsed<AddressMap> {
    text.parse().map_err(|error: crate::AddressError| {
        Rejection::value(
            error.to_string(),
            "announced=reachable, separated by commas, each host or host:port; IPv6 addresses in brackets",
            format!("{name}=172.18.0.3=127.0.0.1,172.18.0.4:6379=127.0.0.1:6380"),
        )
    })
}

fn collision(reader: &Reader, others: &[&str]) -> Rejection {
    let others: Vec<String> = others.iter().map(|name| reader.mention(name)).collect();
    Rejection::value(
        format!(
            "is set beside {}, and each of them says which servers keep the locks",
            others.join(" and ")
        ),
        "one of REDIS_SENTINEL_HOSTS, REDIS_CLUSTER_NODES, LOCK_REDLOCK_NODES and REDIS_HOST",
        "REDIS_HOST=localhost",
    )
    .of_kind(ProblemKind::Collision)
}

/// Variables that the chosen servers make no use of.
fn warn_of_idle(reader: &mut Reader, chosen: &[&'static str]) {
    let Some(first) = chosen.first().copied() else {
        return;
    };
    let is_sentinel = first == "REDIS_SENTINEL_HOSTS";
    let is_cluster = first == "REDIS_CLUSTER_NODES";
    let idle = [
        ("REDIS_URL", true),
        ("REDIS_SENTINEL_SERVICE", !is_sentinel),
        ("REDIS_SENTINEL_USERNAME", !is_sentinel),
        ("REDIS_SENTINEL_PASSWORD", !is_sentinel),
        ("REDIS_SENTINEL_TLS_ENABLED", !is_sentinel),
        ("REDIS_ADDRESS_MAP", !is_sentinel && !is_cluster),
    ];
    for (name, is_idle) in idle {
        if is_idle && reader.is_set(name) {
            let message = format!("is ignored beside {}", reader.mention(first));
            reader.warn(name, message);
        }
    }
}

fn warn_of_options(reader: &mut Reader, name: &'static str, options: &[String]) {
    if !options.is_empty() {
        let options = options.join(", ");
        let message =
            format!("has options behind a ? that are ignored: {options}; only db is read");
        reader.warn(name, message);
    }
}

fn warn_of_placeholder_host<'a>(
    reader: &mut Reader,
    name: &'static str,
    hosts: impl Iterator<Item = &'a str>,
) {
    let hosts: Vec<&str> = hosts.collect();
    if hosts.iter().any(|host| host.ends_with(".example.com")) {
        reader.warn(name, "is still the example.com address of a documentation");
    }
    let is_absence = |host: &&str| {
        let word = host.to_ascii_lowercase();
        ["null", "none", "nil", "undefined"].contains(&word.as_str())
    };
    if let Some(host) = hosts.into_iter().find(is_absence) {
        let message =
            format!("names a host {host}, which programs write for a value that is missing");
        reader.warn(name, message);
    }
}
