//! Replicas: whether they could take over without losing leases.

use std::time::Duration;

use leasehold::config::{Safety, Topology};

use super::Subject;
use super::report::{Check, Level, Report};
use crate::servers::{Replication, field, number, read_replication};

const CONNECTED: Check = ("LH0211", "replicas connected");
const LAG: Check = ("LH0212", "replicas keep up");
const MINIMUM: Check = ("LH0213", "writes need a replica");

pub(super) fn examine(subject: &Subject<'_>, report: &mut Report) {
    let info = &subject.info;
    if field(info, "role").as_deref() != Some("master") {
        return;
    }
    let replication = read_replication(info);
    if !matches!(subject.topology, Topology::Sentinel(_)) {
        examine_connected(&replication, report);
    }
    let Some(worst) = replication
        .replicas
        .iter()
        .max_by_key(|replica| replica.lag)
    else {
        return examine_minimum(subject, report);
    };
    let lag = Duration::from_secs(worst.lag);
    let bound = (subject.config.lock.ttl / 3).max(Duration::from_secs(2));
    let level = match lag {
        _ if lag >= bound => Level::Fail,
        _ if worst.lag > 1 => Level::Warn,
        _ => Level::Pass,
    };
    let told = format!(
        "replica {} was last heard of {} s ago and is {} bytes behind",
        worst.address,
        worst.lag,
        replication.offset.saturating_sub(worst.offset)
    );
    let fix =
        "a failover to a lagging replica forgets the leases since: look at its load and network";
    report.judge(LAG, level, told, fix);
    examine_minimum(subject, report);
}

/// Without Sentinel nobody says how many there should be.
fn examine_connected(replication: &Replication, report: &mut Report) {
    let all = replication.replicas.len();
    let online = replication.replicas.iter();
    let online = online.filter(|replica| replica.is_online).count();
    let told = format!("{online} of {all}");
    if all == 0 {
        report.pass(CONNECTED, "none; none is expected without Sentinel");
    } else if online < all {
        let fix = "look at the logs of those that are not online";
        report.warn(CONNECTED, told, fix);
    } else {
        report.pass(CONNECTED, told);
    }
}

fn examine_minimum(subject: &Subject<'_>, report: &mut Report) {
    let info = &subject.info;
    let replicas = number(info, "connected_slaves");
    let good = field(info, "min_slaves_good_slaves");
    match (&good, replicas, subject.config.lock.safety) {
        (Some(good), ..) => report.pass(MINIMUM, format!("yes, and {good} are good")),
        (None, 0, _) => report.pass(MINIMUM, "no, and there is none"),
        (None, _, Safety::Strict) => report.pass(MINIMUM, "no; strict mode confirms by itself"),
        (None, _, Safety::Relaxed) => report.warn(
            MINIMUM,
            "no: a master that is cut off goes on granting locks beside the new one",
            "CONFIG SET min-replicas-to-write 1, or LOCK_SAFETY=strict",
        ),
    }
}
