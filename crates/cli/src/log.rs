//! What the SDK logs, on standard error: its warnings as remarks of the command, everything else as a log.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::output::plain;

/// Starts logging. `RUST_LOG` chooses what is logged, before `-v`.
pub(crate) fn start(verbosity: u8, takes_locks: bool) {
    let chosen = EnvFilter::try_from_default_env();
    let is_remark = verbosity == 0 && chosen.is_err();
    let level = match (verbosity, takes_locks) {
        (0, false) => "error",
        (0, true) => "warn",
        (1, _) => "info",
        _ => "trace",
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(chosen.unwrap_or_else(|_| EnvFilter::new(level)))
        .with_writer(std::io::stderr)
        .with_ansi(false);
    if is_remark {
        subscriber.event_format(Remark).init();
    } else {
        subscriber.init();
    }
}

/// `leasehold: warning: …`, as the command speaks otherwise.
struct Remark;

impl<S, N> FormatEvent<S, N> for Remark
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        context
            .field_format()
            .format_fields(Writer::new(&mut text), event)?;
        let level = event.metadata().level().as_str().to_lowercase();
        let level = if level == "warn" { "warning" } else { &level };
        writeln!(writer, "leasehold: {level}: {}", plain(&text))
    }
}
