//! The signals that ask a process to end, or mean something to the command.

use std::fs;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

const HUP: i32 = 1;
const INT: i32 = 2;
const QUIT: i32 = 3;
const USR1: i32 = 10;
const USR2: i32 = 12;
const TERM: i32 = 15;

/// Streams of the signals that are passed on to the command.
pub(crate) struct Signals {
    streams: Vec<(i32, Signal)>,
}

impl Signals {
    /// Catches the signals from now on, except those that were ignored when this process started
    /// (`nohup`): those stay ignored, here and in the command.
    pub(crate) fn catch() -> io::Result<Self> {
        let ignored = ignored();
        let mut streams = Vec::new();
        for number in [HUP, INT, QUIT, TERM, USR1, USR2] {
            if ignored & (1 << (number - 1)) == 0 {
                streams.push((number, signal(SignalKind::from_raw(number))?));
            }
        }
        Ok(Self { streams })
    }

    /// The number of the next signal.
    ///
    /// Cancel safe.
    pub(crate) async fn next(&mut self) -> i32 {
        std::future::poll_fn(|context| {
            for (number, stream) in &mut self.streams {
                if stream.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*number);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

/// Whether the terminal sends this signal to the command as well, which then must not get it twice.
pub(crate) fn is_typed(number: i32) -> bool {
    number == INT || number == QUIT
}

/// Whether a signal was ignored when this process started.
pub(crate) fn is_ignored(number: i32) -> bool {
    ignored() & (1 << (number - 1)) != 0
}

/// The signals that this process ignores, one bit each.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default()
}
