//! A report as a picture: every row that has a target, drawn relative to it.
//!
//! One line per row, from its least to its greatest over the rounds, with a dot at the median, on a
//! logarithmic scale on which the target is 1. Better is to the right.

use std::fmt::Write;

use crate::report::{Report, Row, Target};
use crate::spread::Spread;
use crate::table::number;

const WIDTH: f64 = 960.0;
const LABELS: f64 = 470.0;
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
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"14\" fill=\"#222222\">Measured figures relative to \
         their targets; better is to the right</text>\n"
    );
    for (mark, label) in [(0.1, "10 × worse"), (1.0, "target"), (10.0, "10 × better")] {
        let x = position(mark);
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{}\" stroke=\"#bbbbbb\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#666666\">{label}</text>",
            TOP - 6.0,
            height - 26.0,
            height - 10.0
        );
    }
    for (index, (figure, row, target)) in rows.iter().enumerate() {
        let y = TOP + ROW * (index as f64 + 0.5);
        draw_row(&mut svg, y, figure, row, *target);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_row(svg: &mut String, y: f64, figure: &str, row: &Row, target: Target) {
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
    let label = escaped(&format!("{figure}, {}: {}", row.case, row.measure));
    let bound = match target {
        Target::AtLeast(bound) => format!("≥ {}", number(bound)),
        Target::AtMost(bound) => format!("≤ {}", number(bound)),
    };
    let _ = writeln!(
        svg,
        "<text x=\"10\" y=\"{:.1}\" fill=\"#222222\">{label}</text>\
         <line x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"{colour}\" \
         stroke-width=\"3\" stroke-opacity=\"0.4\"/>\
         <circle cx=\"{at:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#222222\">{} ({bound})</text>",
        y + 4.0,
        WIDTH - 10.0,
        y + 4.0,
        number(median)
    );
}

/// Where a value that is `goodness` times as good as its target is drawn.
fn position(goodness: f64) -> f64 {
    let (left, right) = (LABELS, WIDTH - 110.0);
    let share = (goodness.log10().clamp(-DECADES, DECADES) + DECADES) / (2.0 * DECADES);
    left + share * (right - left)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
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
