//! The run as a picture for a terminal: a row for each worker, time from left to right.

use super::history::{Event, History, Micros};

/// Columns left of the picture.
const MARGIN: usize = 10;
/// Narrower pictures show nothing, wider ones are hard to read.
const WIDTHS: std::ops::RangeInclusive<usize> = 40..=150;

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    pub(crate) is_on: bool,
}

impl Paint {
    const WORKERS: [&'static str; 6] = ["36", "33", "35", "32", "34", "96"];

    pub(crate) fn good(self, text: &str) -> String {
        self.with("1;32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.with("1;31", text)
    }

    fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    fn worker(self, index: usize, text: &str) -> String {
        self.with(Self::WORKERS[index % Self::WORKERS.len()], text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.is_on {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Draws the run into lines of at most `columns` characters.
pub(crate) fn draw(history: &History, columns: usize, paint: Paint) -> String {
    let width = columns
        .saturating_sub(MARGIN + 1)
        .clamp(*WIDTHS.start(), *WIDTHS.end());
    let grid = Grid {
        start: history.start,
        step: (history.end.saturating_sub(history.start) / width as u64).max(1),
        width,
    };
    let mut lines = vec![format!("{:MARGIN$}{}", "", paint.dim(&grid.scale()))];
    for worker in 0..history.workers {
        let row = grid.worker(history, worker);
        let label = format!("{:<MARGIN$}", format!("worker-{}", worker + 1));
        lines.push(label + &paint.worker(worker, &row));
    }
    let row = grid.master(history);
    lines.push(format!("{:<MARGIN$}{}", "master", paint.dim(&row)));
    lines.push(format!(
        "{:MARGIN$}{}",
        "",
        paint.dim("█ holds the lease   ░ frozen   ╳ master killed   ├ new master")
    ));
    lines.join("\n") + "\n"
}

/// Time cut into columns.
struct Grid {
    start: Micros,
    step: Micros,
    width: usize,
}

impl Grid {
    fn span(&self, column: usize) -> (Micros, Micros) {
        let from = self.start + column as u64 * self.step;
        (from, from + self.step)
    }

    /// The column of a moment, the last one for what comes later.
    fn column(&self, at: Micros) -> usize {
        let column = at.saturating_sub(self.start) / self.step;
        usize::try_from(column)
            .unwrap_or(usize::MAX)
            .min(self.width - 1)
    }

    /// The seconds, every five of them.
    fn scale(&self) -> String {
        let mut scale = vec![' '; self.width];
        for second in (0..).step_by(5) {
            let at = self.start + second * 1_000_000;
            let column = usize::try_from((at - self.start) / self.step).unwrap_or(usize::MAX);
            let label = format!("{second} s");
            if column + label.len() > self.width {
                break;
            }
            for (place, letter) in scale[column..].iter_mut().zip(label.chars()) {
                *place = letter;
            }
        }
        String::from_iter(scale).trim_end().to_owned()
    }

    fn worker(&self, history: &History, worker: usize) -> String {
        let cell = |column| {
            let span = self.span(column);
            if history.holdings.iter().any(|holding| {
                holding.worker == worker && meet(span, (holding.from, holding.until))
            }) {
                return '█';
            }
            let is_frozen = history.events.iter().any(|event| {
                matches!(event, Event::Frozen { worker: frozen, from, until }
                    if *frozen == worker && meet(span, (*from, *until)))
            });
            if is_frozen { '░' } else { '·' }
        };
        (0..self.width).map(cell).collect()
    }

    fn master(&self, history: &History) -> String {
        let mut row = vec!['─'; self.width];
        let (killed, promoted) = (history.killed_at(), history.promoted_at());
        if let Some(killed) = killed {
            let killed = self.column(killed);
            let promoted = promoted.map_or(self.width, |at| self.column(at));
            for place in row.iter_mut().take(promoted).skip(killed) {
                *place = ' ';
            }
            row[killed] = '╳';
            if let Some(place) = row.get_mut(promoted) {
                *place = '├';
            }
        }
        row.into_iter().collect()
    }
}

fn meet(one: (Micros, Micros), other: (Micros, Micros)) -> bool {
    one.0 < other.1 && other.0 < one.1
}

#[cfg(test)]
mod tests {
    use super::super::history::Holding;
    use super::*;

    fn history() -> History {
        let second = |n: u64| 1_000 + n * 1_000_000;
        let holding = |worker, from, until| Holding {
            worker,
            fence: from,
            from: second(from),
            until: second(until),
        };
        History {
            start: second(0),
            end: second(40),
            workers: 2,
            holdings: vec![holding(0, 0, 2), holding(1, 3, 6), holding(0, 30, 31)],
            events: vec![
                Event::Frozen {
                    worker: 1,
                    from: second(4),
                    until: second(9),
                },
                Event::Killed {
                    node: 0,
                    at: second(20),
                },
                Event::Promoted {
                    node: 2,
                    at: second(24),
                },
            ],
            ..History::default()
        }
    }

    #[test]
    fn each_row_shows_what_happened_when() {
        let picture = draw(&history(), 51, Paint { is_on: false });
        let expected = "          \
                        0 s  5 s  10 s 15 s 20 s 25 s 30 s 35 s\n\
                        worker-1  ██····························█·········\n\
                        worker-2  ···███░░░·······························\n\
                        master    ────────────────────╳   ├───────────────\n";
        assert!(picture.starts_with(expected), "{picture}");
    }

    #[test]
    fn a_short_lease_is_never_invisible() {
        let mut history = history();
        history.holdings[2].until = history.holdings[2].from + 1;
        let picture = draw(&history, 51, Paint { is_on: false });
        assert_eq!(
            picture.matches('█').count(),
            7,
            "two, three, one, and the legend's"
        );
    }

    #[test]
    fn colours_come_only_when_asked_for() {
        assert!(!draw(&history(), 80, Paint { is_on: false }).contains('\x1b'));
        assert!(draw(&history(), 80, Paint { is_on: true }).contains('\x1b'));
    }

    #[test]
    fn an_empty_run_can_be_drawn() {
        assert!(!draw(&History::default(), 0, Paint { is_on: false }).is_empty());
    }
}
