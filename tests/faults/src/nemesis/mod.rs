//! What is done to the servers, the network and the clients, drawn from a seed.

pub mod arena;
pub mod schedule;
mod strike;
mod world;

pub use world::{Client, World};
