//! A history as a picture: faults above, one lane for each client and resource below, broken rules in red.

use std::collections::BTreeMap;

use svg::{
    Document,
    node::{
        Value,
        element::{Line, Rectangle, Text, Title},
    },
};

use crate::{
    checker::{Violation, leases},
    history::{Event, Kind},
};

/// How much is shown before and after the first broken rule.
const BEFORE: u64 = 8_000_000_000;
const AFTER: u64 = 4_000_000_000;
const WIDTH: f64 = 1_600.0;
const MARGIN: f64 = 190.0;
const LANE: f64 = 16.0;
const RED: &str = "#c0392b";

/// Times on the one side, pixels on the other.
struct Scale {
    from: u64,
    to: u64,
}

impl Scale {
    #[expect(clippy::cast_precision_loss, reason = "a picture")]
    fn x(&self, at: u64) -> f64 {
        let within = at.clamp(self.from, self.to) - self.from;
        MARGIN + within as f64 / (self.to - self.from).max(1) as f64 * (WIDTH - MARGIN)
    }

    fn shows(&self, from: u64, to: u64) -> bool {
        from < self.to && to > self.from
    }
}

/// One bar.
struct Bar {
    lane: String,
    from: u64,
    to: u64,
    colour: &'static str,
    text: String,
}

/// Draws what happened around the first broken rule, as an SVG document.
#[must_use]
pub fn draw(history: &[Event], violations: &[Violation]) -> String {
    let end = history.last().map_or(0, |event| event.at);
    let first = violations.first().map_or(end, |violation| violation.at);
    let scale = Scale {
        from: first.saturating_sub(BEFORE),
        to: first + AFTER,
    };
    let resource = violations
        .first()
        .map(|violation| violation.resource.as_str())
        .unwrap_or_default();
    let mut bars = faults(history, end);
    bars.extend(held(history, resource, violations));
    bars.retain(|bar| scale.shows(bar.from, bar.to));
    picture(&scale, &bars, violations)
}

fn faults(history: &[Event], end: u64) -> Vec<Bar> {
    let mut open: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut bars = Vec::new();
    let mut bar = |fault: &str, target: &str, from, to| {
        bars.push(Bar {
            lane: format!("! {fault}"),
            from,
            to,
            colour: "#c9a227",
            text: target.to_owned(),
        });
    };
    for event in history {
        match &event.kind {
            Kind::Fault { fault, target } => {
                open.insert((fault.clone(), target.clone()), event.at);
            }
            Kind::FaultEnded { fault, target } => {
                if let Some(from) = open.remove(&(fault.clone(), target.clone())) {
                    bar(fault, target, from, event.at);
                }
            }
            _ => {}
        }
    }
    for ((fault, target), from) in open {
        bar(&fault, &target, from, end);
    }
    bars
}

fn held(history: &[Event], resource: &str, violations: &[Violation]) -> Vec<Bar> {
    let leases = leases::collect(history);
    let of_interest = leases
        .into_iter()
        .filter(|lease| resource.is_empty() || lease.resource == resource);
    of_interest
        .map(|lease| {
            let name = lease.name();
            let is_guilty = violations
                .iter()
                .any(|violation| violation.what.contains(&name));
            Bar {
                lane: format!("{} {}", lease.process, lease.resource),
                from: lease.granted,
                to: lease.ended,
                colour: if is_guilty { RED } else { "#2e86c1" },
                text: name,
            }
        })
        .collect()
}

fn picture(scale: &Scale, bars: &[Bar], violations: &[Violation]) -> String {
    let mut lanes: Vec<&str> = bars.iter().map(|bar| bar.lane.as_str()).collect();
    lanes.sort_unstable();
    lanes.dedup();
    let height = LANE * (lanes.len() + 3) as f64;
    let background = Rectangle::new()
        .set("width", "100%")
        .set("height", "100%")
        .set("fill", "white");
    let mut document = Document::new()
        .set("width", WIDTH)
        .set("height", height)
        .set("font-family", "monospace")
        .set("font-size", 10)
        .add(background);
    let mut y_of: BTreeMap<&str, f64> = BTreeMap::new();
    for (number, lane) in lanes.iter().enumerate() {
        let y = LANE * (number + 1) as f64;
        y_of.insert(lane, y);
        document = document.add(label(y + 10.0, *lane));
    }
    for bar in bars {
        let y = y_of.get(bar.lane.as_str()).copied().unwrap_or_default();
        document = document.add(drawn(scale, bar, y));
    }
    let shown = violations
        .iter()
        .filter(|violation| scale.shows(violation.at, violation.at + 1));
    for violation in shown {
        document = document.add(mark(scale.x(violation.at), height, violation));
    }
    if let Some(first) = violations.first() {
        let text = label(height - 6.0, format!("{}: {}", first.rule, first.what));
        document = document.add(text.set("fill", RED));
    }
    document.to_string() + "\n"
}

fn label(y: f64, text: impl Into<String>) -> Text {
    Text::new(text).set("x", 2).set("y", tenths(y))
}

fn drawn(scale: &Scale, bar: &Bar, y: f64) -> Rectangle {
    let (from, to) = (scale.x(bar.from), scale.x(bar.to));
    Rectangle::new()
        .set("x", tenths(from))
        .set("y", tenths(y))
        .set("width", tenths((to - from).max(1.0)))
        .set("height", LANE - 3.0)
        .set("fill", bar.colour)
        .add(Title::new(bar.text.clone()))
}

/// Where a rule was broken.
fn mark(x: f64, height: f64, violation: &Violation) -> Line {
    Line::new()
        .set("x1", tenths(x))
        .set("x2", tenths(x))
        .set("y1", 0)
        .set("y2", height)
        .set("stroke", RED)
        .set("stroke-dasharray", 3)
        .add(Title::new(format!(
            "{}: {}",
            violation.rule, violation.what
        )))
}

fn tenths(number: f64) -> Value {
    format!("{number:.1}").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::{Bounds, check};
    use crate::client::Protocol;

    #[test]
    fn a_broken_rule_is_drawn_in_red() {
        let event = |at, process: &str, kind| Event {
            at,
            process: process.into(),
            operation: 1,
            resource: "<r>".into(),
            kind,
        };
        let granted = |fence| Kind::Granted {
            fence,
            asked: 0,
            deadline: 5_000_000,
            renewed: false,
            holder: String::new(),
        };
        let history = [
            event(1, "a", granted(1)),
            event(
                2,
                "nemesis",
                Kind::Fault {
                    fault: "pause".into(),
                    target: "node 1".into(),
                },
            ),
            event(3, "b", granted(2)),
        ];
        let violations = check(&history, Bounds::of(Protocol::Strict));
        let svg = draw(&history, &violations);
        assert!(
            svg.contains("#c0392b") && svg.contains("node 1") && svg.contains("a &lt;r&gt;"),
            "{svg}"
        );
    }
}
