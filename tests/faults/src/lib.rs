//! A fault campaign: clients compete for leases on real servers while those, the network and the clients themselves are
//! broken at random, and a checker looks for anything that should not have happened.
//!
//! - [`history`]: what every process writes down.
//! - [`checker`]: what must hold of it.
//! - [`client`]: a process that leases and writes.
//! - [`register`]: what the leases protect.
//! - [`nemesis`]: what is broken, when, and how.
//! - [`members`]: the same for the independent masters of quorum mode.
//! - [`plan`]: what a campaign is given.
//! - [`campaign`]: one run from its beginning to its end.
//! - [`outcome`]: checking the history, and the [`report`].
//! - [`timeline`]: a history as a picture.
//!
//! The controls, `relaxed` mode and a plain `SET NX PX` client, go through the same campaign; it must find them guilty,
//! or else its silence about `strict` mode would prove nothing. With the feature `broken` there are two more: strict mode
//! without one of the conditions under which a new master takes over without a pause.

pub mod campaign;
pub mod checker;
pub mod client;
pub mod history;
pub mod members;
pub mod nemesis;
pub mod outcome;
pub mod plan;
pub mod random;
pub mod register;
pub mod report;
pub mod timeline;
