//! The result in words.

use std::fmt::Write;

use super::run::Run;

pub(super) fn text(run: &Run) -> String {
    let Run {
        verdict, history, ..
    } = run;
    let mut text = format!("{}\n", run.layout.file());
    let _ = writeln!(
        text,
        "  {:5.1} s until the workers work",
        run.up.as_secs_f64()
    );
    for injected in &run.injected {
        let _ = writeln!(text, "  {injected}");
    }
    let _ = writeln!(
        text,
        "  {} leases, {} steps in the journal, {} leases lost or not granted",
        verdict.grants,
        history.journal.len(),
        history.troubles.len()
    );
    let counts = [
        (verdict.overlaps, "overlaps"),
        (
            usize::from(!verdict.fences_increasing),
            "fences out of order",
        ),
        (verdict.stale_writes_accepted, "stale writes accepted"),
        (verdict.writes_missing, "writes missing"),
        (verdict.updates_lost, "updates lost"),
        (verdict.unfinished, "leases without an end"),
    ];
    for (count, what) in counts {
        let mark = if count == 0 { "ok " } else { "NO " };
        let _ = writeln!(text, "  {mark} {count} {what}");
    }
    for line in run.finding.text.lines() {
        let _ = writeln!(text, "      {line}");
    }
    for complaint in &run.complaints {
        let _ = writeln!(text, "  NO  {complaint}");
    }
    text + if run.is_good() {
        "  passed\n"
    } else {
        "  FAILED\n"
    }
}
