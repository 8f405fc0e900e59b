//! A history as a picture: faults above, one lane for each client and resource below, broken rules in red.

use std::{collections::BTreeMap, fmt::Write};

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
                colour: if is_guilty { "#c0392b" } else { "#2e86c1" },
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
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"monospace\" font-size=\"10\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let mut y_of: BTreeMap<&str, f64> = BTreeMap::new();
    for (number, lane) in lanes.iter().enumerate() {
        let y = LANE * (number + 1) as f64;
        y_of.insert(lane, y);
        let _ = writeln!(
            svg,
            "<text x=\"2\" y=\"{}\">{}</text>",
            y + 10.0,
            escaped(lane)
        );
    }
    for bar in bars {
        let (x, to) = (scale.x(bar.from), scale.x(bar.to));
        let y = y_of.get(bar.lane.as_str()).copied().unwrap_or_default();
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{}\" fill=\"{}\"><title>{}</title></rect>",
            (to - x).max(1.0),
            LANE - 3.0,
            bar.colour,
            escaped(&bar.text)
        );
    }
    for violation in violations
        .iter()
        .filter(|violation| scale.shows(violation.at, violation.at + 1))
    {
        let x = scale.x(violation.at);
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{height}\" stroke=\"#c0392b\" stroke-dasharray=\"3\">\
             <title>{}: {}</title></line>",
            violation.rule,
            escaped(&violation.what)
        );
    }
    if let Some(first) = violations.first() {
        let _ = writeln!(
            svg,
            "<text x=\"2\" y=\"{}\" fill=\"#c0392b\">{}: {}</text>",
            height - 6.0,
            first.rule,
            escaped(&first.what)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
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
