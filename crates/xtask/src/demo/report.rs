//! The result in words, and as one JSON object.

use std::fmt::Write;

use serde_json::json;

use super::history::{Event, History, Micros};
use super::options::Options;
use super::picture::{self, Paint};
use super::run::Run;
use super::verdict::Verdict;

/// The summary for people: the picture, what happened, what was checked.
pub(crate) fn text(run: &Run, verdict: &Verdict, options: &Options, screen: Screen) -> String {
    let mut text = title(options) + "\n\n";
    text += &picture::draw(&run.history, screen.columns, screen.paint);
    text += "\n";
    text += &story(&run.history, verdict);
    text += "\n";
    text += &checks(verdict, &run.history, screen.paint);
    for complaint in &run.complaints {
        let _ = writeln!(text, "{} {complaint}", screen.paint.bad("NO "));
    }
    text += "\n";
    text + &if passed(run, verdict) {
        screen.paint.good("passed") + "\n"
    } else {
        screen.paint.bad("FAILED") + "\n"
    }
}

/// Where the summary is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    pub(crate) columns: usize,
    pub(crate) paint: Paint,
}

pub(crate) fn title(options: &Options) -> String {
    format!(
        "Four workers, one lease, LOCK_SAFETY={}: who held it when",
        options.safety
    )
}

pub(crate) fn passed(run: &Run, verdict: &Verdict) -> bool {
    verdict.holds() && run.complaints.is_empty()
}

fn story(history: &History, verdict: &Verdict) -> String {
    let mut told: Vec<(Micros, String)> = Vec::new();
    for event in &history.events {
        match event {
            Event::Frozen {
                worker,
                from,
                until,
            } => {
                let name = format!("worker-{}", worker + 1);
                told.push((*from, format!("{name} is frozen while it holds the lease")));
                told.push((*until, format!("{name} wakes up")));
            }
            Event::Killed { node, at } => {
                told.push((*at, format!("the master, node {node}, is killed (SIGKILL)")));
            }
            Event::Promoted { node, at } => {
                told.push((*at, format!("the Sentinels have promoted node {node}")));
            }
        }
    }
    if let Some((killed, pause)) = history.killed_at().zip(verdict.failover_pause) {
        told.push((
            killed + pause,
            "the first grant on the new master".to_owned(),
        ));
    }
    for (worker, at, message) in &history.troubles {
        told.push((*at, format!("worker-{}: {message}", worker + 1)));
    }
    told.sort();
    let mut text = String::new();
    for (at, what) in told {
        let _ = writeln!(text, "{:>7.3} s  {what}", seconds(at, history.start));
    }
    text
}

fn checks(verdict: &Verdict, history: &History, paint: Paint) -> String {
    let pause = verdict.failover_pause.map_or_else(
        || "nothing was granted after the failover".to_owned(),
        |pause| format!("work resumed {} ms after the kill", pause / 1000),
    );
    let rows = [
        (
            verdict.overlaps == 0 && verdict.unfinished == 0,
            format!(
                "one holder at a time: {} grants, {} overlaps",
                verdict.grants, verdict.overlaps
            ),
        ),
        (verdict.fences_increasing, fences(history)),
        (
            verdict.stale_writes_accepted == 0,
            format!(
                "no stale write in the journal: {} late writes sent, {} writes refused, {} accepted",
                history.late_writes, history.refused, verdict.stale_writes_accepted
            ),
        ),
        (
            verdict.writes_missing == 0 && verdict.updates_lost == 0,
            format!(
                "nothing lost: {} steps in the journal, {} accepted ones missing, {} overwritten",
                history.journal.len(),
                verdict.writes_missing,
                verdict.updates_lost
            ),
        ),
        (verdict.resumed, pause),
    ];
    let mut text = String::new();
    for (is_kept, what) in rows {
        let mark = if is_kept {
            paint.good("yes")
        } else {
            paint.bad("NO ")
        };
        let _ = writeln!(text, "{mark} {what}");
    }
    text
}

fn fences(history: &History) -> String {
    let range = history.holdings.first().zip(history.holdings.last());
    let range = range.map_or_else(String::new, |(first, last)| {
        format!(", from {} to {}", first.fence, last.fence)
    });
    format!("each fence greater than the one before{range}")
}

/// The same as one object.
pub(crate) fn json(run: &Run, verdict: &Verdict, options: &Options) -> serde_json::Value {
    let history = &run.history;
    let promotion = history.killed_at().zip(history.promoted_at());
    let holdings = history.holdings.iter().map(|holding| {
        json!({
            "worker": holding.worker + 1,
            "fence": holding.fence,
            "from_ms": (holding.from.saturating_sub(history.start)) / 1000,
            "until_ms": (holding.until.saturating_sub(history.start)) / 1000,
        })
    });
    json!({
        "passed": passed(run, verdict),
        "safety": options.safety.to_string(),
        "workers": history.workers,
        "seconds": seconds(history.end, history.start),
        "grants": verdict.grants,
        "overlaps": verdict.overlaps,
        "fences_increasing": verdict.fences_increasing,
        "stale_writes_accepted": verdict.stale_writes_accepted,
        "late_writes_sent": history.late_writes,
        "writes_refused": history.refused,
        "steps": history.journal.len(),
        "writes_missing": verdict.writes_missing,
        "updates_lost": verdict.updates_lost,
        "grants_without_end": verdict.unfinished,
        "troubles": history.troubles.len(),
        "promotion_ms": promotion.map(|(killed, promoted)| (promoted - killed) / 1000),
        "failover_pause_ms": verdict.failover_pause.map(|pause| pause / 1000),
        "resumed": verdict.resumed,
        "complaints": run.complaints,
        "holdings": holdings.collect::<Vec<_>>(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds are shown")]
fn seconds(at: Micros, start: Micros) -> f64 {
    (at.saturating_sub(start) / 1000) as f64 / 1000.0
}
