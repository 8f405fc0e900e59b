//! The lock protocol as a model.
pub mod strict;
