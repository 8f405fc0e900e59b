//! Events of the link to the master: connected, lost, connected to another incarnation.

use std::time::Duration;

use super::measures as measure;
use crate::master::identity::Incarnation;
use crate::master::link::Link;
use crate::unavailable::Cause;

/// Remembers whom the links were made to, so that a reconnect and a failover are told apart.
#[derive(Default)]
pub(crate) struct MasterEvents {
    last: Option<Incarnation>,
    is_connected: bool,
}

impl MasterEvents {
    pub(crate) fn connected(&mut self, link: &Link) {
        let (node, epoch, generation) = (link.node(), link.epoch(), link.generation);
        let last = self.last.replace(link.incarnation.clone());
        self.is_connected = true;
        measure::connected(1.0);
        match last {
            Some(last) if last != link.incarnation => {
                measure::failover();
                tracing::warn!(
                    %node, epoch, generation,
                    "connected to another incarnation of the master: a failover or a restart"
                );
            }
            Some(_) => tracing::info!(%node, epoch, generation, "reconnected to the master"),
            None => tracing::info!(%node, epoch, generation, "connected to the master"),
        }
    }

    pub(crate) fn lost(&mut self, link: &Link, cause: &Cause) {
        self.is_connected = false;
        measure::connected(-1.0);
        measure::disconnected();
        tracing::warn!(node = %link.node(), epoch = link.epoch(), %cause, "lost the master");
    }
}

impl Drop for MasterEvents {
    fn drop(&mut self) {
        // The locker ends, and its link with it.
        if self.is_connected {
            measure::connected(-1.0);
        }
    }
}

/// The gate of a new incarnation is closed.
pub(crate) fn gate_closed(link: &Link, closed_for: Duration, reason: &str) {
    measure::gate_closed(closed_for);
    tracing::warn!(
        node = %link.node(), epoch = link.epoch(), ?closed_for, reason,
        "nothing new is granted until the leases of the last master have ended"
    );
}

/// This client found that the new master has everything, and opened its gate.
pub(crate) fn gate_opened_at_once(link: &Link, hold: Duration, is_measured: bool) {
    tracing::info!(
        node = %link.node(), epoch = link.epoch(), clock_difference = ?hold, is_measured,
        "the new master has every lease that the last one confirmed: grants go on"
    );
}

/// The gate is open.
pub(crate) fn gate_open(link: &Link) {
    measure::gate_open();
    tracing::info!(node = %link.node(), epoch = link.epoch(), "the gate is open");
}
