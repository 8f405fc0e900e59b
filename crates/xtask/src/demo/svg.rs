//! The run as an SVG picture, to scale: hover over a lease for its fence and its times.

use svg::Document;
use svg::node::Value;
use svg::node::element::{Line, Rectangle, Text, Title};

use super::history::{Event, History, Holding, Micros};
use super::verdict::{Verdict, first_grant_after_failover};

const LEFT: f64 = 90.0;
const WIDTH: f64 = 900.0;
const ROW: f64 = 34.0;
const BAR: f64 = 22.0;
const TOP: f64 = 64.0;
const COLOURS: [&str; 6] = [
    "#0e7490", "#b45309", "#7e22ce", "#15803d", "#1d4ed8", "#be123c",
];
const RED: &str = "#dc2626";
const GREEN: &str = "#15803d";

/// Draws the run; `title` is its first line.
pub(crate) fn draw(history: &History, verdict: &Verdict, title: &str) -> String {
    let picture = Picture {
        history,
        scale: WIDTH / micros(history.end.saturating_sub(history.start).max(1)),
        bottom: TOP + ROW * micros(history.workers as u64),
    };
    let height = picture.bottom + 66.0;
    let background = Rectangle::new()
        .set("width", "100%")
        .set("height", "100%")
        .set("fill", "#ffffff");
    let heading = label(LEFT, 24.0, title)
        .set("font-size", 16)
        .set("font-weight", 600);
    let mut document = Document::new()
        .set("viewBox", (0, 0, LEFT + WIDTH + 30.0, height))
        .set("font-family", "ui-sans-serif, sans-serif")
        .set("font-size", 13)
        .add(background)
        .add(heading);
    document = picture.axis(document);
    document = picture.faults(document);
    for worker in 0..history.workers {
        document = picture.row(document, worker);
    }
    document.add(picture.conclusion(verdict)).to_string() + "\n"
}

fn label(x: f64, y: f64, text: impl Into<String>) -> Text {
    Text::new(text).set("x", tenths(x)).set("y", tenths(y))
}

fn vertical(x: f64, to: f64, colour: &str) -> Line {
    Line::new()
        .set("x1", tenths(x))
        .set("y1", TOP)
        .set("x2", tenths(x))
        .set("y2", tenths(to))
        .set("stroke", colour)
}

fn tenths(number: f64) -> Value {
    format!("{number:.1}").into()
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

    fn bar(&self, from: Micros, until: Micros, y: f64, height: f64, title: String) -> Rectangle {
        let (from, until) = (self.x(from), self.x(until));
        Rectangle::new()
            .set("x", tenths(from))
            .set("y", tenths(y))
            .set("width", tenths((until - from).max(1.0)))
            .set("height", tenths(height))
            .add(Title::new(title))
    }

    fn axis(&self, mut document: Document) -> Document {
        let mut second = 0;
        while self.history.start + second * 1_000_000 <= self.history.end {
            let x = self.x(self.history.start + second * 1_000_000);
            let text = label(x, TOP - 8.0, format!("{second} s"))
                .set("text-anchor", "middle")
                .set("fill", "#6b7280");
            document = document.add(vertical(x, self.bottom, "#e5e7eb")).add(text);
            second += 5;
        }
        document
    }

    /// The pause at the failover behind the rows, and a mark for each event.
    fn faults(&self, mut document: Document) -> Document {
        let first = first_grant_after_failover(self.history);
        if let Some((killed, first)) = self.history.killed_at().zip(first) {
            let pause = self.seconds(first.from) - self.seconds(killed);
            let title = format!("no new grants for {pause:.2} s");
            let bar = self.bar(killed, first.from, TOP, self.bottom - TOP, title);
            document = document.add(bar.set("fill", "#fee2e2"));
        }
        for event in &self.history.events {
            let (at, text, colour, below) = match event {
                Event::Killed { node, at } => (*at, format!("node {node} killed"), RED, 16.0),
                Event::Promoted { node, at } => (*at, format!("node {node} promoted"), GREEN, 32.0),
                Event::Frozen { .. } => continue,
            };
            let x = self.x(at);
            let text = label(x, self.bottom + below, text).set("fill", colour);
            let line = vertical(x, self.bottom, colour).set("stroke-width", 2);
            document = document.add(line).add(text);
        }
        document
    }

    fn row(&self, mut document: Document, worker: usize) -> Document {
        let y = TOP + ROW * micros(worker as u64) + 6.0;
        let name = label(LEFT - 12.0, y + 16.0, format!("worker-{}", worker + 1));
        document = document.add(name.set("text-anchor", "end"));
        for event in &self.history.events {
            if let Event::Frozen {
                worker: frozen,
                from,
                until,
            } = event
                && *frozen == worker
            {
                let bar = self.bar(*from, *until, y, BAR, "frozen (SIGSTOP)".to_owned());
                document = document.add(bar.set("fill", "#d1d5db"));
            }
        }
        let holdings = self.history.holdings.iter();
        for holding in holdings.filter(|holding| holding.worker == worker) {
            document = document.add(self.holding(holding, y));
        }
        document
    }

    fn holding(&self, holding: &Holding, y: f64) -> Rectangle {
        let title = format!(
            "fence {}: {:.3} s to {:.3} s",
            holding.fence,
            self.seconds(holding.from),
            self.seconds(holding.until),
        );
        self.bar(holding.from, holding.until, y, BAR, title)
            .set("rx", 2)
            .set("fill", COLOURS[holding.worker % COLOURS.len()])
    }

    fn conclusion(&self, verdict: &Verdict) -> Text {
        let (colour, word) = if verdict.holds() {
            (GREEN, "passed")
        } else {
            (RED, "FAILED")
        };
        let order = if verdict.fences_increasing {
            "strictly increasing"
        } else {
            "NOT increasing"
        };
        let text = format!(
            "{word}: {} grants, {} overlaps, fences {order}, {} stale writes accepted",
            verdict.grants, verdict.overlaps, verdict.stale_writes_accepted,
        );
        label(LEFT, self.bottom + 54.0, text)
            .set("fill", colour)
            .set("font-weight", 600)
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of a picture")]
fn micros(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
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
            svg.contains("width=\"450.0\" x=\"90.0\" y=\"70.0\""),
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
