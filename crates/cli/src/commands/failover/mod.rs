//! `leasehold failover`: a planned failover that loses nothing.

mod checks;
mod handover;

use std::time::Duration;

use leasehold::config::{Safety, Topology};
use leasehold::{Config, Locker};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use self::checks::{DataNode, Deployment};
use self::handover::{Done, Pause, hand_over};
use super::milliseconds;
use crate::connect::Source;
use crate::duration::shown;
use crate::exit::{self, Failure};
use crate::gate::{Gate, State};
use crate::output::{Output, plain};
use crate::run::by_signal;
use crate::run::signals::Signals;

/// Promote a replica to master, without losing a lease
///
/// Pauses writes on the master for a moment, waits until the replicas have everything, and asks a
/// Sentinel for the failover. Refuses, and changes nothing, where new leases would have to pause
/// after it. Needs the rights of the user `admin` of config/users.acl.
///
/// Ends with 0 if new leases are granted at once, with 1 if it was refused, and with 2 if the failover
/// was made but the gate of strict mode is closed.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only check whether the failover would be made
    #[arg(long)]
    dry_run: bool,
}

/// There was a failover, and new leases wait.
const PAUSED: u8 = 2;

/// How long lockers that run may take to claim the gate, before this command connects one.
const CLAIMED_WITHIN: Duration = Duration::from_secs(1);
/// How long the gate may take.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

pub(crate) async fn main(
    arguments: &Arguments,
    source: &Source,
    output: Output,
) -> Result<u8, Failure> {
    let (config, topology) = source.servers("there are no servers")?;
    let Topology::Sentinel(sentinels) = &topology else {
        let message = "a failover needs Sentinel: this configuration names no Sentinels";
        return Err(Failure::new(exit::CONFIG, message));
    };
    let mut signals =
        Signals::catch().map_err(|error| Failure::internal("catching signals", &error))?;
    let deployment = tokio::select! {
        deployment = checks::examine(&config, &topology, sentinels) => deployment?,
        number = signals.next() => return Ok(by_signal(number)),
    };
    if !deployment.reasons.is_empty() {
        return Err(refusal(&deployment.reasons));
    }
    if arguments.dry_run {
        tell_ready(&deployment, output);
        return Ok(exit::OK);
    }
    let mut pause = Pause::new(deployment.master.probe.clone());
    let done = tokio::select! {
        done = hand_over(&deployment, &mut pause) => done,
        number = signals.next() => {
            pause.end(&deployment).await;
            let told = if pause.is_under_way {
                "interrupted: writes go on, and the Sentinels may complete the failover"
            } else {
                "interrupted: nothing was changed, and writes go on"
            };
            output.note(told);
            return Ok(by_signal(number));
        }
    };
    pause.end(&deployment).await;
    let done = done?;
    let gate = gate_of(&config, &done.new, &mut signals).await;
    Ok(tell(&deployment, &done, gate.as_ref(), output))
}

fn refusal(reasons: &[String]) -> Failure {
    let mut message = "no failover, and nothing was changed:".to_owned();
    for reason in reasons {
        message.push_str(&format!("\n  - {}", plain(reason)));
    }
    Failure::new(checks::REFUSED, message)
}

fn tell_ready(deployment: &Deployment<'_>, output: Output) {
    let replicas = deployment.replicas.iter();
    let replicas: Vec<String> = replicas.map(|node| node.announced.to_string()).collect();
    if output.json {
        output.document(&json!({
            "ready": true, "master": deployment.master.announced.to_string(), "replicas": replicas,
        }));
    } else {
        let master = &deployment.master.announced;
        let told = format!(
            "ready: {master} would hand over to one of {}",
            replicas.join(", ")
        );
        output.line(&told);
    }
}

/// The gate on the new master. A locker that runs claims it; where there is none this command connects one.
async fn gate_of(config: &Config, new: &DataNode, signals: &mut Signals) -> Option<Gate> {
    if config.lock.safety != Safety::Strict {
        return None;
    }
    let began = Instant::now();
    let mut locker = None;
    let mut last = None;
    while began.elapsed() < OPEN_WITHIN {
        if let Ok(gate) = Gate::read(&new.probe, config).await {
            let is_settled = matches!(gate.state, State::Open | State::Closed { .. });
            last = Some(gate);
            if is_settled {
                break;
            }
        }
        if locker.is_none() && began.elapsed() > CLAIMED_WITHIN {
            locker = Locker::connect(config.clone()).await.ok();
        }
        tokio::select! {
            () = sleep(Duration::from_millis(25)) => {}
            _ = signals.next() => break,
        }
    }
    last
}

fn tell(deployment: &Deployment<'_>, done: &Done, gate: Option<&Gate>, output: Output) -> u8 {
    let is_open = gate.is_none_or(|gate| gate.state == State::Open);
    let is_known = deployment.config.lock.safety != Safety::Strict || gate.is_some();
    let (old, new) = (&deployment.master.announced, &done.new.announced);
    if output.json {
        output.document(&json!({
            "old": old.to_string(), "new": new.to_string(), "paused_ms": milliseconds(done.paused),
            "opened_at_once": is_open && is_known,
            "gate": gate.map_or(Value::Null, Gate::document),
        }));
    } else {
        output.line(&format!("{new} is the master, {old} was"));
        output.line(&format!("  writes paused  {}", shown(done.paused)));
        let told = match gate {
            Some(gate) if is_open => {
                let record = gate.record.as_ref();
                let at_once = record.is_some_and(|record| record.was_open);
                let told = if at_once { "opened at once" } else { "open" };
                told.to_owned()
            }
            Some(gate) => gate.described(),
            None if is_known => "none, in relaxed mode".to_owned(),
            None => "not known: the new master does not answer".to_owned(),
        };
        output.line(&format!("  gate           {told}"));
    }
    if is_open && is_known {
        exit::OK
    } else {
        PAUSED
    }
}
