//! A data node: whether it can be reached, and whether it is what it should be.

use leasehold::config::{Endpoint, Topology};
use leasehold::probe::{Hop, Probe};
use leasehold::{Cause, Unavailable};

use super::Subject;
use super::report::{Check, Level, Report};
use crate::servers::field;

const REACHED: Check = ("LH0201", "node reached and logged in");
const ANSWERS: Check = ("LH0202", "node answers");
const ROLE: Check = ("LH0203", "role");
const VERSION: Check = ("LH0204", "version");
const TLS: Check = ("LH0205", "encryption");

pub(super) async fn examine(
    topology: &Topology,
    endpoint: &Endpoint,
    report: &mut Report,
) -> Option<Probe> {
    let awaited = || format!("{endpoint} to answer");
    let opening = Probe::open(topology, Hop::Node, endpoint);
    let probe = match report.watched(awaited, opening).await {
        Ok(probe) => probe,
        Err(error) => {
            fail_to_reach(topology, &error, report);
            return None;
        }
    };
    report.pass(REACHED, endpoint.to_string());
    match probe.ask(&["PING"]).await {
        Ok(_) => report.pass(ANSWERS, "PONG"),
        // A check of its own says more about the disk.
        Err(error) if *error.cause() == Cause::DiskError => {
            report.pass(ANSWERS, "with a complaint about the disk");
        }
        Err(error) => {
            report.fail_with(ANSWERS, &error);
            if !matches!(error.cause(), Cause::NoPermission { .. }) {
                return None;
            }
        }
    }
    Some(probe)
}

fn fail_to_reach(topology: &Topology, error: &Unavailable, report: &mut Report) {
    let is_network = matches!(
        error.cause(),
        Cause::Refused | Cause::Unreachable { .. } | Cause::ConnectTimeout { .. }
    );
    if !is_network || !matches!(topology, Topology::Sentinel(_)) {
        return report.fail_with(REACHED, error);
    }
    let node = error.node().map(ToString::to_string).unwrap_or_default();
    let told = format!("{node}, the master by the Sentinels: {}", error.cause());
    let fix = "start it; if the Sentinels announce an address that cannot be reached from here, set \
               REDIS_ADDRESS_MAP, or announce-ip on the servers";
    report.fail(REACHED, told, fix);
}

pub(super) fn examine_role(subject: &Subject<'_>, endpoint: &Endpoint, report: &mut Report) {
    let info = &subject.info;
    if info.is_empty() {
        let fix = "give the user +info, as in config/users.acl";
        return report.fail(ROLE, format!("{endpoint}: this user may not run INFO"), fix);
    }
    let mode = field(info, "redis_mode").unwrap_or_default();
    match field(info, "role").as_deref() {
        _ if mode == "sentinel" => report.fail(
            ROLE,
            format!("{endpoint} is a Sentinel"),
            "put this address into REDIS_SENTINEL_HOSTS instead of REDIS_HOST",
        ),
        Some("master") => report.pass(ROLE, "master"),
        _ => report.fail(
            ROLE,
            format!(
                "{endpoint} is a replica of {}:{} and takes no writes",
                field(info, "master_host").unwrap_or_default(),
                field(info, "master_port").unwrap_or_default()
            ),
            "point REDIS_HOST at the master, or set REDIS_SENTINEL_HOSTS and let the SDK find it",
        ),
    }
    examine_version(info, report);
    examine_encryption(subject, endpoint, report);
}

fn examine_version(info: &str, report: &mut Report) {
    let version = field(info, "redis_version").unwrap_or_default();
    let mut numbers = version
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let pair = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let level = if pair >= (6, 2) {
        Level::Pass
    } else {
        Level::Fail
    };
    report.judge(VERSION, level, version, "use Redis 6.2 or newer, or Valkey");
}

fn examine_encryption(subject: &Subject<'_>, endpoint: &Endpoint, report: &mut Report) {
    let nodes = match subject.topology {
        Topology::Sentinel(sentinel) => &sentinel.nodes,
        Topology::Standalone(standalone) => &standalone.nodes,
        Topology::Cluster(cluster) => &cluster.nodes,
        _ => return,
    };
    let is_local =
        matches!(endpoint.host(), "localhost" | "::1") || endpoint.host().starts_with("127.");
    match &nodes.tls {
        Some(tls) if tls.insecure => report.fail(
            TLS,
            "TLS, but certificates are not verified (REDIS_TLS_INSECURE=true)",
            "name the CA in REDIS_TLS_CA_FILE and unset REDIS_TLS_INSECURE",
        ),
        Some(_) => report.pass(TLS, "TLS, verified"),
        None if is_local || nodes.credentials.password.is_none() => {
            report.pass(TLS, "none; no password leaves this machine");
        }
        None => report.warn(
            TLS,
            "none: the password crosses the network in the clear",
            "set REDIS_TLS_ENABLED=true, or be sure that nobody else is on this network",
        ),
    }
}
