//! Whether new leases would be granted at once after the next failover: enough replicas show that
//! nothing is missing.

use std::time::Duration;

use leasehold::config::Endpoint;
use leasehold::probe::Probe;

use super::Subject;
use super::report::{Check, Report};
use super::sentinels::KnownBySentinels;
use crate::duration::shown;
use crate::gate::{Gate, State, unknown};
use crate::servers::number;

const TAKE_OVER: Check = ("LH0224", "take-over without a pause");

/// `replicas` are those that can be asked.
pub(super) async fn examine(
    subject: &Subject<'_>,
    known: &KnownBySentinels,
    replicas: &[(Endpoint, Probe)],
    gate: &Gate,
    report: &mut Report,
) {
    let record = gate.record.as_ref();
    let longest = record.map_or(subject.config.lock.max_ttl, |record| record.longest);
    let data_nodes = record.map_or(0, |record| record.data_nodes);
    let data_nodes = data_nodes.max(1 + known.replicas.len());
    let needed = data_nodes / 2 + 1;
    let mut failing = Vec::new();
    if gate.state != State::Open {
        failing.push("the gate of this master is not open".to_owned());
    }
    let silent = known.replicas.len().saturating_sub(replicas.len());
    if silent > 0 {
        failing.push(format!("{silent} replicas cannot be asked from here"));
    }
    let mut able = 0;
    for (endpoint, probe) in replicas {
        match shows(subject, probe, longest).await {
            Ok(()) => able += 1,
            Err(reason) => failing.push(format!("{endpoint}: {reason}")),
        }
    }
    let mut told =
        format!("{able} replicas could show that nothing is missing, {needed} are needed");
    if !failing.is_empty() {
        told.push_str(&format!(" ({})", failing.join("; ")));
    }
    if able >= needed && gate.state == State::Open {
        return report.pass(TAKE_OVER, told);
    }
    let fix = format!(
        "new leases would pause for {} after a failover: bring the replicas back, or wait until they are up for that long",
        shown(longest)
    );
    report.warn(TAKE_OVER, told, fix);
}

/// Whether the lockers could see by this replica that it continues what the last master confirmed.
async fn shows(subject: &Subject<'_>, probe: &Probe, longest: Duration) -> Result<(), String> {
    Gate::read(probe, subject.config)
        .await
        .map_err(|error| unknown(&error))?;
    let server = probe.ask(&["INFO", "server"]).await;
    let server = server.map_err(|error| error.cause().to_string())?;
    let server = server.text().unwrap_or_default();
    // Whole seconds, rounded up by the server at worst.
    let uptime = Duration::from_secs(number(&server, "uptime_in_seconds").saturating_sub(1));
    if uptime < longest {
        return Err(format!("it is up for {}", shown(uptime)));
    }
    Ok(())
}
