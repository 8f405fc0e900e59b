//! A report as a picture: every row that has a target, drawn relative to it.
//!
//! One line per row, from its least to its greatest over the rounds, with a dot at the median, on a
//! logarithmic scale on which the target is 1. Better is to the right.

use svg::Document;
use svg::node::Value;
use svg::node::element::{Circle, Line, Rectangle, Text};

use crate::report::{Report, Row, Target};
use crate::spread::Spread;
use crate::table::number;

const TITLE: &str = "Measured figures relative to their targets; better is to the right";
const WIDTH: f64 = 1_180.0;
const LABELS: f64 = 690.0;
const ROW: f64 = 22.0;
const TOP: f64 = 46.0;
/// The scale goes from a tenth of the target to ten times it.
const DECADES: f64 = 1.0;

/// Draws the report as SVG.
#[must_use]
pub fn draw(report: &Report) -> String {
    let rows: Vec<(&str, &Row, Target)> = report
        .figures
        .iter()
        .flat_map(|figure| figure.rows.iter().map(|row| (figure.name, row)))
        .filter_map(|(name, row)| {
            Some((name, row, row.target.filter(|target| target.bound() > 0.0)?))
        })
        .collect();
    let height = TOP + ROW * rows.len() as f64 + 30.0;
    let mut document = Document::new()
        .set("viewBox", (0, 0, WIDTH, height))
        .set("font-family", "sans-serif")
        .set("font-size", 12)
        .add(background(height))
        .add(label(10.0, 20.0, TITLE).set("font-size", 14));
    for (mark, text) in [(0.1, "10 × worse"), (1.0, "target"), (10.0, "10 × better")] {
        let x = position(mark);
        let line = line((x, TOP - 6.0), (x, height - 26.0)).set("stroke", "#bbbbbb");
        let text = label(x, height - 10.0, text)
            .set("text-anchor", "middle")
            .set("fill", "#666666");
        document = document.add(line).add(text);
    }
    for (index, (figure, row, target)) in rows.iter().enumerate() {
        let y = TOP + ROW * (index as f64 + 0.5);
        document = draw_row(document, y, figure, row, *target);
    }
    document.to_string() + "\n"
}

fn background(height: f64) -> Rectangle {
    Rectangle::new()
        .set("width", WIDTH)
        .set("height", height)
        .set("fill", "#ffffff")
}

fn label(x: f64, y: f64, text: impl Into<String>) -> Text {
    Text::new(text)
        .set("x", tenths(x))
        .set("y", tenths(y))
        .set("fill", "#222222")
}

fn line((x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> Line {
    Line::new()
        .set("x1", tenths(x1))
        .set("y1", tenths(y1))
        .set("x2", tenths(x2))
        .set("y2", tenths(y2))
}

fn tenths(number: f64) -> Value {
    format!("{number:.1}").into()
}

fn draw_row(document: Document, y: f64, figure: &str, row: &Row, target: Target) -> Document {
    let Spread { min, median, max } = row.value;
    let goodness = |value: f64| match target {
        Target::AtLeast(bound) => value / bound,
        Target::AtMost(bound) => bound / value,
    };
    let (from, to) = (position(goodness(min)), position(goodness(max)));
    let (from, to, at) = (from.min(to), from.max(to), position(goodness(median)));
    let colour = if target.holds(median) {
        "#1a7f37"
    } else {
        "#b3261e"
    };
    let bound = match target {
        Target::AtLeast(bound) => format!("≥ {}", number(bound)),
        Target::AtMost(bound) => format!("≤ {}", number(bound)),
    };
    let name = format!("{figure}, {}: {}", row.case, row.measure);
    let value = format!("{} ({bound})", number(median));
    let spread = line((from, y), (to, y))
        .set("stroke", colour)
        .set("stroke-width", 3)
        .set("stroke-opacity", 0.4);
    let dot = Circle::new()
        .set("cx", tenths(at))
        .set("cy", tenths(y))
        .set("r", 4)
        .set("fill", colour);
    document
        .add(label(10.0, y + 4.0, name))
        .add(spread)
        .add(dot)
        .add(label(WIDTH - 10.0, y + 4.0, value).set("text-anchor", "end"))
}

/// Where a value that is `goodness` times as good as its target is drawn.
fn position(goodness: f64) -> f64 {
    let (left, right) = (LABELS, WIDTH - 110.0);
    let share = (goodness.log10().clamp(-DECADES, DECADES) + DECADES) / (2.0 * DECADES);
    left + share * (right - left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_is_in_the_middle_and_the_ends_are_bounded() {
        assert!(position(0.5) < position(1.0));
        assert_eq!(position(1e9), position(10.0));
        assert_eq!(position(0.0), position(0.1));
    }
}
