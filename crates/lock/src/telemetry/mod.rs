//! What the SDK reports about itself: spans and events through `tracing`, and, with the feature
//! `metrics`, numbers through the `metrics` facade. `docs/observability.md` describes both.
//!
//! Every span and metric is named here and nowhere else; elsewhere a call says what happened. Fields
//! are the same everywhere: `resource`, `fence`, `node`, `epoch`, `outcome`. Tokens are never told.

mod master;
mod measures;

use std::pin::Pin;
use std::time::Duration;

use tracing::field::Empty;
use tracing::{Instrument, Span};

pub(crate) use self::master::{MasterEvents, gate_closed, gate_open, gate_opened_at_once};
use self::measures as measure;
pub(crate) use self::measures::locking_disabled;
use crate::error::{Error, LostReason};
use crate::fence::Fence;
use crate::options::Terms;
use crate::resource::Resource;
use crate::sync::Mutex;

/// A lease, as far as an acquisition tells of it.
pub(crate) trait Granted {
    fn fence(&self) -> Fence;
    /// Sentinel's configuration epoch of where it was granted.
    fn epoch(&self) -> u64;
}

/// How something ended, one word of a closed set, and the error if it is one.
pub(crate) trait Ended {
    fn word(&self) -> &'static str;
    fn error(&self) -> Option<&Error>;
}

/// The lease that something is done with.
pub(crate) struct About<'a> {
    pub(crate) resource: &'a Resource,
    pub(crate) fence: Fence,
    pub(crate) held: &'a HoldSpan,
}

/// Tells of one acquisition, whatever becomes of it: `how` is `wait`, `try` or `adopt`.
///
/// The work comes pinned, here and below: a large future is copied each time it is handed on.
pub(crate) async fn acquiring<L: Granted>(
    resource: &Resource,
    terms: Terms,
    how: &'static str,
    work: Pin<&mut impl Future<Output = Result<L, Error>>>,
) -> Result<L, Error> {
    let span = tracing::info_span!(
        "lock.acquire", otel.kind = "client", db.system.name = "redis",
        %resource, how, outcome = Empty, fence = Empty, epoch = Empty, error.r#type = Empty
    );
    let mut telling = AcquisitionSpan {
        span: span.clone(),
        label: terms.label,
        waits: how == "wait",
        started: measure::Since::now(),
        is_settled: false,
    };
    telling.begin();
    let result = work.instrument(span).await;
    telling.settle(resource, &result);
    result
}

/// One acquisition in progress; without an outcome it was cancelled.
struct AcquisitionSpan {
    span: Span,
    label: &'static str,
    waits: bool,
    started: measure::Since,
    is_settled: bool,
}

impl AcquisitionSpan {
    fn begin(&self) {
        if self.waits {
            measure::waiting(self.label, 1.0);
        }
    }

    fn settle<L: Granted>(&mut self, resource: &Resource, result: &Result<L, Error>) {
        let outcome = result.as_ref().map_or_else(kind, |_| "granted");
        match result {
            Ok(lease) => {
                self.span.record("fence", lease.fence().as_i64());
                self.span.record("epoch", lease.epoch());
                tracing::debug!(
                    parent: &self.span, %resource, fence = %lease.fence(), "granted"
                );
            }
            Err(error) => {
                self.span.record("error.type", outcome);
                tracing::debug!(parent: &self.span, outcome, ?error, "not granted");
            }
        }
        self.finish(outcome);
        if let Err(error) = result {
            count_ambiguous(error);
        }
    }

    fn finish(&mut self, outcome: &'static str) {
        self.is_settled = true;
        self.span.record("outcome", outcome);
        if self.waits {
            measure::waiting(self.label, -1.0);
        }
        measure::acquired(self.label, outcome, self.started);
    }
}

impl Drop for AcquisitionSpan {
    fn drop(&mut self) {
        if !self.is_settled {
            self.finish("cancelled");
        }
    }
}

/// What keeps one acquisition waiting; contention is counted once for each.
pub(crate) struct WaitReasons {
    resource: Resource,
    label: &'static str,
    is_counted: bool,
}

impl WaitReasons {
    pub(crate) fn new(resource: &Resource, terms: Terms) -> Self {
        Self {
            resource: resource.clone(),
            label: terms.label,
            is_counted: false,
        }
    }

    /// Another task of this process asked before.
    pub(crate) fn queued(&mut self) {
        self.count();
        tracing::debug!(resource = %self.resource, "waiting behind a task of this process");
    }

    pub(crate) fn met(&mut self, obstacle: &Error) {
        if matches!(obstacle, Error::Held(_)) {
            self.count();
        }
        tracing::debug!(resource = %self.resource, ?obstacle, "waiting");
    }

    fn count(&mut self) {
        if !std::mem::replace(&mut self.is_counted, true) {
            measure::contended(self.label);
        }
    }
}

/// The time for which a lease is held: a span and a measure, ended once.
#[derive(Debug)]
pub(crate) struct HoldSpan {
    label: &'static str,
    started: measure::Since,
    span: Mutex<Option<Span>>,
}

impl HoldSpan {
    pub(crate) fn begin(resource: &Resource, fence: Fence, epoch: u64, terms: Terms) -> Self {
        let span = tracing::info_span!(
            "lock.hold", %resource, %fence, epoch,
            ttl_ms = u64::try_from(terms.ttl.as_millis()).unwrap_or(u64::MAX), outcome = Empty
        );
        measure::held(terms.label, 1.0);
        Self {
            label: terms.label,
            started: measure::Since::now(),
            span: Mutex::new(Some(span)),
        }
    }

    /// The span while the lease is held, and none afterwards.
    fn span(&self) -> Span {
        let span = self.span.lock();
        span.clone().unwrap_or_else(Span::none)
    }

    /// The holder gives the lease back, or hands it over.
    pub(crate) fn released(&self) {
        self.end("released");
    }

    pub(crate) fn lost(&self, resource: &Resource, fence: Fence, reason: &LostReason) {
        let cause = cause(reason);
        tracing::warn!(
            parent: &self.span(), %resource, %fence, cause, %reason, "lease lost"
        );
        measure::lost(self.label, cause);
        self.end("lost");
    }

    fn end(&self, outcome: &'static str) {
        let mut span = self.span.lock();
        if let Some(span) = span.take() {
            span.record("outcome", outcome);
            measure::held(self.label, -1.0);
            measure::hold_ended(self.label, outcome, self.started);
        }
    }

    /// A renewal was confirmed when so much of the lease was left.
    pub(crate) fn margin(&self, left: Duration, ttl: Duration) {
        measure::margin(self.label, left, ttl);
    }
}

/// Tells of one renewal.
pub(crate) async fn renewing<E: Ended>(
    about: About<'_>,
    work: Pin<&mut impl Future<Output = E>>,
) -> E {
    let About {
        resource,
        fence,
        held,
    } = about;
    let span = tracing::debug_span!(
        parent: &held.span(), "lock.renew", otel.kind = "client",
        db.system.name = "redis", %resource, %fence, outcome = Empty,
        error.r#type = Empty
    );
    let ended = work.instrument(span.clone()).await;
    if let Some(error) = ended.error() {
        span.record("error.type", kind(error));
        tracing::debug!(parent: &span, %resource, ?error, "renewal not confirmed");
        count_ambiguous(error);
    }
    span.record("outcome", ended.word());
    measure::renewed(held.label, ended.word());
    ended
}

/// Tells of one release that somebody waits for.
pub(crate) async fn releasing<E: Ended>(
    about: About<'_>,
    work: Pin<&mut impl Future<Output = E>>,
) -> E {
    let About {
        resource,
        fence,
        held,
    } = about;
    let span = tracing::info_span!(
        "lock.release", otel.kind = "client", db.system.name = "redis",
        %resource, %fence, outcome = Empty, error.r#type = Empty
    );
    let ended = work.instrument(span.clone()).await;
    let outcome = ended.error().map_or(ended.word(), kind);
    if let Some(error) = ended.error() {
        span.record("error.type", outcome);
        count_ambiguous(error);
    }
    span.record("outcome", outcome);
    tracing::debug!(parent: &span, %resource, outcome, "release ended");
    measure::released(held.label, outcome);
    ended
}

fn count_ambiguous(error: &Error) {
    if let Error::Ambiguous { operation, .. } = error {
        measure::ambiguous(operation);
    }
}

/// The kind of a failure, one word of a closed set.
fn kind(error: &Error) -> &'static str {
    match error {
        Error::Held(_) => "held",
        Error::TimedOut { .. } => "timed_out",
        Error::GateClosed(_) => "gate_closed",
        Error::NotReplicated { .. } => "not_replicated",
        Error::NoQuorum { .. } => "no_quorum",
        Error::Unavailable(_) => "unavailable",
        Error::Ambiguous { .. } => "ambiguous",
        Error::Lost { .. } => "lost",
        Error::Closed => "closed",
        Error::Ttl { .. } => "ttl",
        _ => "other",
    }
}

/// Why a lease was lost, one word of a closed set.
fn cause(reason: &LostReason) -> &'static str {
    match reason {
        LostReason::Expired { .. } => "expired",
        LostReason::Deleted => "deleted",
        LostReason::Missing => "missing",
        LostReason::Stolen { .. } => "stolen",
        LostReason::Failover { .. } => "failover",
        LostReason::Restart => "restart",
        LostReason::Closed => "closed",
        LostReason::RuntimeEnded => "runtime_ended",
        LostReason::Forked => "forked",
    }
}
