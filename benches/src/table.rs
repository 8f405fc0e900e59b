//! A report as a Markdown table that also reads well in a terminal.

use std::fmt::{self, Display, Formatter};

use crate::report::{Figure, Report, Row, Target};

const HEAD: [&str; 7] = ["case", "measure", "min", "median", "max", "target", "holds"];

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n`{}`", self.machine, self.command)?;
        self.figures
            .iter()
            .try_for_each(|figure| write!(f, "\n{figure}"))
    }
}

impl Display for Figure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "### {}: {}\n", self.name, self.question)?;
        let rows: Vec<[String; 7]> = self.rows.iter().map(cells).collect();
        let mut widths = HEAD.map(str::len);
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        line(f, &HEAD.map(str::to_owned), &widths)?;
        line(f, &widths.map(|width| "-".repeat(width)), &widths)?;
        rows.iter().try_for_each(|row| line(f, row, &widths))
    }
}

fn line(f: &mut Formatter<'_>, cells: &[String; 7], widths: &[usize; 7]) -> fmt::Result {
    for (cell, width) in cells.iter().zip(widths) {
        write!(f, "| {cell:<width$} ")?;
    }
    writeln!(f, "|")
}

fn cells(row: &Row) -> [String; 7] {
    let value = |value| {
        let number = number(value);
        if row.unit.is_empty() {
            number
        } else {
            format!("{number} {}", row.unit)
        }
    };
    [
        row.case.clone(),
        row.measure.clone(),
        value(row.value.min),
        value(row.value.median),
        value(row.value.max),
        row.target
            .map(|target| target.to_string())
            .unwrap_or_default(),
        match row.holds {
            Some(true) => "yes".to_owned(),
            Some(false) => "**no**".to_owned(),
            None => String::new(),
        },
    ]
}

impl Display for Target {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "≥ {}", number(*bound)),
            Self::AtMost(bound) => write!(f, "≤ {}", number(*bound)),
        }
    }
}

/// Three significant digits.
pub(crate) fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 100.0 || value == 0.0 {
        format!("{value:.0}")
    } else if magnitude >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}
