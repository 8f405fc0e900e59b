//! What this instance believes, line by line on its standard output, for whoever wants to check it
//! against what the others believe. No part of using the SDK.

use std::fmt::Display;
use std::time::{Duration, Instant};

use leasehold::{Fence, Lease};
use rustix::time::{ClockId, clock_gettime};

/// A lease under which this instance acts. Dropped before the release begins, or when the lease is
/// lost.
pub(crate) struct Holding<'a> {
    lease: &'a Lease,
}

impl<'a> Holding<'a> {
    pub(crate) fn begin(lease: &'a Lease) -> Self {
        let fence = lease.fence();
        println!("granted {fence} {}", micros(Instant::now()));
        let deadline = lease.deadline();
        // The request was sent no earlier than this.
        let sent = deadline.checked_sub(lease.ttl()).unwrap_or(deadline);
        println!("term {fence} {} {}", micros(sent), micros(deadline));
        Self { lease }
    }
}

impl Drop for Holding<'_> {
    /// After a pause of the whole process this runs late; the lease was over at its deadline.
    fn drop(&mut self) {
        let (fence, deadline) = (self.lease.fence(), self.lease.deadline());
        println!("extended {fence} {}", micros(deadline));
        println!("over {fence} {}", micros(Instant::now().min(deadline)));
    }
}

pub(crate) fn asked() {
    println!("asked {}", micros(Instant::now()));
}

pub(crate) fn accepted(fence: Fence, step: u64) {
    println!("accepted {fence} {step} {}", micros(Instant::now()));
}

pub(crate) fn refused(fence: Fence, step: u64) {
    println!("refused {fence} {step} {}", micros(Instant::now()));
}

pub(crate) fn trouble(error: &dyn Display) {
    println!("trouble {} {error}", micros(Instant::now()));
}

/// Microseconds of the clock that all processes of a machine share (`Instant` is the same clock,
/// but keeps its number to itself).
fn micros(instant: Instant) -> u128 {
    let now = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default();
    let (past, ahead) = (
        Instant::now().saturating_duration_since(instant),
        instant.saturating_duration_since(Instant::now()),
    );
    (now + ahead).saturating_sub(past).as_micros()
}
