//! The lock protocol as a model.
pub mod quorum;
pub mod report;
pub mod strict;

/// What an exploration must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// All properties hold.
    Holds,
    /// This property has a counterexample.
    Breaks(&'static str),
}
