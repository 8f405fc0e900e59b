//! The run as an SVG picture, to scale: hover over a lease for its fence and its times.

use std::fmt::Write;

use super::history::{Event, History, Micros};
use super::verdict::{Verdict, first_grant_after_failover};

const LEFT: f64 = 90.0;
const WIDTH: f64 = 900.0;
const ROW: f64 = 34.0;
const TOP: f64 = 64.0;
const COLOURS: [&str; 6] = [
    "#0e7490", "#b45309", "#7e22ce", "#15803d", "#1d4ed8", "#be123c",
];

/// Draws the run; `title` is its first line.
pub(crate) fn draw(history: &History, verdict: &Verdict, title: &str) -> String {
    let picture = Picture {
        history,
        scale: WIDTH / micros(history.end.saturating_sub(history.start).max(1)),
        bottom: TOP + ROW * micros(history.workers as u64),
    };
    let height = picture.bottom + 66.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {height}\" \
         font-family=\"ui-sans-serif, sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"16\" font-weight=\"600\">{}</text>\n",
        LEFT + WIDTH + 30.0,
        escape(title),
    );
    svg += &picture.axis();
    svg += &picture.faults();
    for worker in 0..history.workers {
        svg += &picture.row(worker);
    }
    svg += &picture.conclusion(verdict);
    svg + "</svg>\n"
}

struct Picture<'a> {
    history: &'a History,
    scale: f64,
    bottom: f64,
}

impl Picture<'_> {
    fn x(&self, at: Micros) -> f64 {
        let at = at.clamp(self.history.start, self.history.end);
        LEFT + micros(at - self.history.start) * self.scale
    }

    fn seconds(&self, at: Micros) -> f64 {
        micros(at.saturating_sub(self.history.start)) / 1e6
    }

    fn axis(&self) -> String {
        let mut svg = String::new();
        let mut second = 0;
        while self.history.start + second * 1_000_000 <= self.history.end {
            let x = self.x(self.history.start + second * 1_000_000);
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"#e5e7eb\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#6b7280\">{second} s</text>",
                self.bottom,
                TOP - 8.0,
            );
            second += 5;
        }
        svg
    }

    /// The pause at the failover behind the rows, and a mark for each event.
    fn faults(&self) -> String {
        let mut svg = String::new();
        let first = first_grant_after_failover(self.history);
        if let Some((killed, first)) = self.history.killed_at().zip(first) {
            let (from, until) = (self.x(killed), self.x(first.from));
            let _ = writeln!(
                svg,
                "<rect x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#fee2e2\">\
                 <title>no new grants for {:.2} s</title></rect>",
                until - from,
                self.bottom - TOP,
                self.seconds(first.from) - self.seconds(killed),
            );
        }
        for event in &self.history.events {
            let (at, label, colour) = match event {
                Event::Killed { node, at } => (*at, format!("node {node} killed"), "#dc2626"),
                Event::Promoted { node, at } => (*at, format!("node {node} promoted"), "#15803d"),
                Event::Frozen { .. } => continue,
            };
            let (x, bottom) = (self.x(at), self.bottom);
            let lower = if colour == "#dc2626" { 16.0 } else { 32.0 };
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" stroke=\"{colour}\" \
                 stroke-width=\"2\"/><text x=\"{x:.1}\" y=\"{:.1}\" fill=\"{colour}\">{label}</text>",
                bottom + lower,
            );
        }
        svg
    }

    fn row(&self, worker: usize) -> String {
        let y = TOP + ROW * micros(worker as u64) + 6.0;
        let mut svg = format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">worker-{}</text>\n",
            LEFT - 12.0,
            y + 16.0,
            worker + 1
        );
        for event in &self.history.events {
            if let Event::Frozen {
                worker: frozen,
                from,
                until,
            } = event
                && *frozen == worker
            {
                let (from, until) = (self.x(*from), self.x(*until));
                let _ = writeln!(
                    svg,
                    "<rect x=\"{from:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"22\" fill=\"#d1d5db\">\
                     <title>frozen (SIGSTOP)</title></rect>",
                    until - from,
                );
            }
        }
        let colour = COLOURS[worker % COLOURS.len()];
        let holdings = self.history.holdings.iter();
        for holding in holdings.filter(|holding| holding.worker == worker) {
            let (from, until) = (self.x(holding.from), self.x(holding.until));
            let _ = writeln!(
                svg,
                "<rect x=\"{from:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"22\" rx=\"2\" fill=\"{colour}\">\
                 <title>fence {}: {:.3} s to {:.3} s</title></rect>",
                (until - from).max(1.0),
                holding.fence,
                self.seconds(holding.from),
                self.seconds(holding.until),
            );
        }
        svg
    }

    fn conclusion(&self, verdict: &Verdict) -> String {
        let (colour, word) = if verdict.holds() {
            ("#15803d", "passed")
        } else {
            ("#dc2626", "FAILED")
        };
        format!(
            "<text x=\"{LEFT}\" y=\"{:.1}\" fill=\"{colour}\" font-weight=\"600\">{word}: {} grants, \
             {} overlaps, fences {}, {} stale writes accepted</text>\n",
            self.bottom + 54.0,
            verdict.grants,
            verdict.overlaps,
            if verdict.fences_increasing {
                "strictly increasing"
            } else {
                "NOT increasing"
            },
            verdict.stale_writes_accepted,
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of a picture")]
fn micros(number: u64) -> f64 {
    number as f64
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::super::history::Holding;
    use super::*;

    #[test]
    fn leases_are_drawn_to_scale_and_the_verdict_is_told() {
        let holding = |worker, fence, from, until| Holding {
            worker,
            fence,
            from,
            until,
        };
        let history = History {
            end: 10_000_000,
            workers: 2,
            holdings: vec![
                holding(0, 41, 0, 5_000_000),
                holding(1, 42, 4_000_000, 6_000_000),
            ],
            ..History::default()
        };
        let svg = draw(&history, &Verdict::of(&history), "a < b");
        assert!(
            svg.contains("x=\"90.0\" y=\"70.0\" width=\"450.0\""),
            "{svg}"
        );
        assert!(
            svg.contains("<title>fence 42: 4.000 s to 6.000 s</title>"),
            "{svg}"
        );
        assert!(
            svg.contains("a &lt; b") && svg.contains("FAILED: 2 grants, 1 overlaps"),
            "{svg}"
        );
    }
}
