//! A terminal that is drawn on, and given back as it was found however the command ends.

use std::future::pending;
use std::io::{self, Write};

use rustix::process::{Signal as Kill, getpid, kill_process};
use rustix::termios::tcgetwinsize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::run::signals::{Signals, is_ignored};

/// The other screen, so that what was on this one comes back; no cursor, and long lines are cut.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l";
const LEAVE: &str = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l";

/// What is drawn in between is shown at once, where the terminal knows of it.
const BEGIN: &str = "\u{1b}[?2026h\u{1b}[H";
const END: &str = "\u{1b}[?2026l";
const NO_COLOUR: &str = "\u{1b}[0m";
const CLEAR_LINE: &str = "\u{1b}[K";
const CLEAR_BELOW: &str = "\u{1b}[J";

const TSTP: i32 = 20;

/// Standard output while it is drawn on, or untouched where it is no terminal.
pub(super) struct Screen {
    is_open: bool,
    signals: Signals,
    resized: Option<Signal>,
    stopped: Option<Signal>,
}

/// What happens between two looks.
pub(super) enum Event {
    /// A signal asks the command to end.
    Ended(i32),
    /// The screen has to be drawn again.
    Redraw,
}

impl Screen {
    /// Signals are caught before the screen is touched, so that none of them leaves it touched.
    pub(super) fn open(is_drawn_on: bool) -> io::Result<Self> {
        let mut screen = Self {
            is_open: false,
            signals: Signals::catch()?,
            resized: None,
            stopped: None,
        };
        if is_drawn_on {
            screen.resized = Some(signal(SignalKind::window_change())?);
            if !is_ignored(TSTP) {
                screen.stopped = Some(signal(SignalKind::from_raw(TSTP))?);
            }
            screen.enter();
        }
        Ok(screen)
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// The number of the signal that asks to end.
    ///
    /// Cancel safe.
    pub(super) async fn ending(&mut self) -> i32 {
        loop {
            if let Event::Ended(number) = self.event().await {
                return number;
            }
        }
    }

    /// Cancel safe.
    pub(super) async fn event(&mut self) -> Event {
        tokio::select! {
            number = self.signals.next() => Event::Ended(number),
            () = next(&mut self.resized) => Event::Redraw,
            () = next(&mut self.stopped) => {
                self.stop();
                Event::Redraw
            }
        }
    }

    /// Draws as many lines as fit, over what was there.
    pub(super) fn draw(&self, lines: &[String]) {
        if !self.is_open {
            return;
        }
        let (width, height) = size();
        let mut frame = String::from(BEGIN);
        for (at, line) in lines.iter().take(height).enumerate() {
            if at > 0 {
                frame.push_str("\r\n");
            }
            let (shown, columns) = cut(line, width);
            frame.push_str(shown);
            if shown.len() < line.len() {
                frame.push_str(NO_COLOUR);
            }
            // Behind the last column the cursor still stands on it.
            if columns < width {
                frame.push_str(CLEAR_LINE);
            }
        }
        if lines.len() < height {
            frame.push_str("\r\n");
            frame.push_str(CLEAR_BELOW);
        }
        frame.push_str(END);
        write(&frame);
    }

    /// Gives the terminal back.
    pub(super) fn close(&mut self) {
        if self.is_open {
            self.is_open = false;
            write(LEAVE);
        }
    }

    fn enter(&mut self) {
        self.is_open = true;
        write(ENTER);
    }

    /// Stops as any other program does that is told to, with the terminal as it was found.
    fn stop(&mut self) {
        self.close();
        let _ = kill_process(getpid(), Kill::STOP);
        self.enter();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.close();
    }
}

/// Columns and lines.
fn size() -> (usize, usize) {
    let usual = (80, 24);
    let Ok(size) = tcgetwinsize(io::stdout()) else {
        return usual;
    };
    match (usize::from(size.ws_col), usize::from(size.ws_row)) {
        (0, _) | (_, 0) => usual,
        size => size,
    }
}

/// As much of a line as fits, and how many columns that has. Colours take none.
fn cut(line: &str, width: usize) -> (&str, usize) {
    let (mut columns, mut in_colour) = (0, false);
    for (at, character) in line.char_indices() {
        match character {
            '\u{1b}' => in_colour = true,
            'm' if in_colour => in_colour = false,
            _ if in_colour => {}
            _ if columns == width => return (&line[..at], columns),
            _ => columns += 1,
        }
    }
    (line, columns)
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => pending().await,
    }
}

/// In one go. A terminal that is gone is noticed by the signal that tells so.
fn write(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_the_last_column_and_colours_take_none() {
        assert_eq!(cut("abc", 5), ("abc", 3));
        assert_eq!(cut("größe", 3), ("grö", 3));
        let coloured = "\u{1b}[31mabc\u{1b}[0mdef";
        assert_eq!(cut(coloured, 6), (coloured, 6));
        assert_eq!(cut(coloured, 2), ("\u{1b}[31mab", 2));
    }
}
