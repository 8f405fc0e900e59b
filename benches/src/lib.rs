//! Benchmarks of Leasehold beside its controls.
//!
//! A **figure** answers one question with a few **rows**. A **contender** is one way to do the same
//! work: ours, or a control. All contenders of a case take turns in short **slices** within each
//! **round**, so that whatever else the machine does meets all of them, and a row is the
//! [`Spread`](spread::Spread) over the rounds of a ratio between two slices of the same round.
//! Absolute numbers are printed beside the ratios for orientation; no target is one.

pub mod controls;
pub mod figures;
pub mod machine;
pub mod ours;
pub mod picture;
pub mod process;
pub mod report;
pub mod rounds;
pub mod samples;
pub mod server_stats;
pub mod spread;
pub mod table;
pub mod tap;

/// Whatever ends a benchmark early.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The outcome of a benchmark.
pub type Result<T, E = Error> = std::result::Result<T, E>;
