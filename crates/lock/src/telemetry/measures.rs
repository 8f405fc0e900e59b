//! The metrics: every name, unit and label. Without the feature `metrics` they cost nothing.
//!
//! Labels have few values, all known here, except `lock`: the label that the caller chose with
//! `AcquireOptions::label`, fixed at compile time, and empty without one. Resources are no labels.

#![cfg_attr(
    not(feature = "metrics"),
    expect(unused_variables, reason = "nothing is made of what is told")
)]

use std::time::Duration;

/// Runs what records a metric, if metrics are built in.
macro_rules! record {
    ($($statement:tt)*) => {
        #[cfg(feature = "metrics")]
        {
            $($statement)*
        }
    };
}

#[cfg(feature = "metrics")]
use metrics::{counter, gauge, histogram};

/// Since when something lasts. Without metrics nobody asks, and the clock is not read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Since {
    #[cfg(feature = "metrics")]
    started: std::time::Instant,
}

impl Since {
    pub(super) fn now() -> Self {
        Self {
            #[cfg(feature = "metrics")]
            started: std::time::Instant::now(),
        }
    }
}

pub(super) fn acquired(lock: &'static str, outcome: &'static str, asked: Since) {
    record! {
        let waited = asked.started.elapsed();
        counter!("leasehold_acquire_total", "lock" => lock, "outcome" => outcome).increment(1);
        histogram!("leasehold_wait_seconds", "lock" => lock, "outcome" => outcome).record(waited);
    }
}

pub(super) fn contended(lock: &'static str) {
    record! { counter!("leasehold_contended_total", "lock" => lock).increment(1); }
}

pub(super) fn waiting(lock: &'static str, change: f64) {
    record! { gauge!("leasehold_waiting", "lock" => lock).increment(change); }
}

pub(super) fn held(lock: &'static str, change: f64) {
    record! { gauge!("leasehold_held", "lock" => lock).increment(change); }
}

pub(super) fn hold_ended(lock: &'static str, outcome: &'static str, granted: Since) {
    record! {
        let held = granted.started.elapsed();
        histogram!("leasehold_hold_seconds", "lock" => lock, "outcome" => outcome).record(held);
    }
}

pub(super) fn lost(lock: &'static str, cause: &'static str) {
    record! { counter!("leasehold_lost_total", "lock" => lock, "cause" => cause).increment(1); }
}

pub(super) fn renewed(lock: &'static str, outcome: &'static str) {
    record! { counter!("leasehold_renew_total", "lock" => lock, "outcome" => outcome).increment(1); }
}

pub(super) fn margin(lock: &'static str, left: Duration, ttl: Duration) {
    record! {
        histogram!("leasehold_renewal_margin_seconds", "lock" => lock).record(left);
        let ratio = left.as_secs_f64() / ttl.as_secs_f64();
        histogram!("leasehold_renewal_margin_ratio", "lock" => lock).record(ratio);
    }
}

pub(super) fn released(lock: &'static str, outcome: &'static str) {
    record! {
        counter!("leasehold_release_total", "lock" => lock, "outcome" => outcome).increment(1);
    }
}

/// `operation` is `leased`, `renewed`, `released` or `adopted`.
pub(super) fn ambiguous(operation: &'static str) {
    record! { counter!("leasehold_ambiguous_total", "operation" => operation).increment(1); }
}

pub(super) fn connected(change: f64) {
    record! { gauge!("leasehold_connected").increment(change); }
}

pub(super) fn disconnected() {
    record! { counter!("leasehold_disconnects_total").increment(1); }
}

pub(super) fn failover() {
    record! { counter!("leasehold_failovers_total").increment(1); }
}

pub(super) fn gate_closed(closed_for: Duration) {
    record! {
        histogram!("leasehold_gate_closed_seconds").record(closed_for);
        let since_1970 = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        gauge!("leasehold_gate_closed_until").set((since_1970 + closed_for).as_secs_f64());
    }
}

/// The gate is open; the gauge says 0.
pub(super) fn gate_open() {
    record! { gauge!("leasehold_gate_closed_until").set(0.0); }
}

/// A locker that excludes nobody.
pub(crate) fn locking_disabled() {
    record! { gauge!("leasehold_locking_disabled").set(1.0); }
}
