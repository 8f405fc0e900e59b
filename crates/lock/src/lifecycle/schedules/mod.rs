//! The client's own races, one schedule after the other; each is told by its seed.
//!
//! `threads` has the parts that threads share run under shuttle, which chooses the thread that goes on at every lock.
//! `lockers` has whole lockers run with paused time, over a network that delays, loses and answers late.
//! `cargo xtask schedules` runs more seeds than these, or one of them again.

use std::ops::Range;

mod lockers;
mod shuttled;
mod threads;

/// How many schedules of each kind are tried unless [`SEEDS`] says otherwise.
const USUAL: u64 = 200;
/// The variable with the seeds: how many, or `FIRST..END`.
const SEEDS: &str = "LEASEHOLD_SEEDS";

/// The seeds that are asked for.
fn seeds() -> Range<u64> {
    let Ok(asked) = std::env::var(SEEDS) else {
        return 0..USUAL;
    };
    let number = |text: &str| text.parse().expect("LEASEHOLD_SEEDS is N or FIRST..END");
    match asked.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => 0..number(&asked),
    }
}

/// Names the seed if what runs under it panics.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it was seed {}", self.0);
        }
    }
}
