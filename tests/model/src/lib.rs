//! The lock protocol as a model, explored state by state.
//!
//! Two models: [`strict`], one Redis deployment whose master Sentinel may change at any moment, and [`quorum`],
//! independent nodes. [`checks`] lists all that is explored and what it must show: the protocol holds, and each broken
//! rule or assumption yields its counterexample. `cargo xtask model` runs it.
//!
//! # The protocol of strict mode
//!
//! | step of the model | what it is in the SDK |
//! | --- | --- |
//! | `acquire` | `crates/lock/src/redis/scripts/acquire.lua`: refuses unless the gate is open for this incarnation |
//! | `renew` | `renew.lua`: extends; re-asserts a missing key as long as the gate is not open |
//! | `confirm` | `WAIT` on the same connection: a majority of the configured data nodes has the write |
//! | `release` | `release.lua`: compare and delete |
//! | `gate_claim` | `gate_claim.lua`: pending, for this incarnation |
//! | `gate_open` | `gate_open.lua`, after `confirm`: open from now + longest lease |
//! | `raise` | quorum mode's second phase: the write-back of the fence |
//!
//! Why it holds: to confirm anything a deposed master needs a data node that does not follow the new one yet. Once a
//! majority has the new incarnation's claim there is no such majority any more. What the deposed master confirmed before
//! ends, by its holders' own clocks, within the longest lease; only then does the gate open.
//!
//! # What is modelled
//!
//! - Three data nodes. A replica copies all that its master has, at any moment or never. `WAIT` counts a replica from its
//!   copy on, whenever the reply arrives; so acknowledgements may reach a client after the replica has been re-pointed.
//! - Sentinel promotes any node at any moment, in whatever state its data is. Deposed masters go on serving until they
//!   are re-pointed, if ever; so do their replicas. A client may be connected to *any* node that calls itself master, so
//!   nothing rests on Sentinel's answers being fresh, the new-deployment exception's epoch apart.
//! - Restarts, empty or with data, of any number of nodes at once; FLUSHALL; the expiry of the replication backlog.
//! - Clients that renew, retry with the same token, let go, crash, or never hear of what they were granted. A script may
//!   arrive later than it was sent; the deadline counts from sending.
//! - Time is discrete and *unbounded*, and so are all faults unless a configuration counts them: times are remaining
//!   times, fences relative to the clock, incarnations nameless, so that the states are finite in number. What holds
//!   there holds over any number of failovers and restarts.
//!
//! States are counted up to the names of nodes and clients, and told apart by 64-bit fingerprints: among 10^8 states the
//! chance that any two collide is below one in 3,000.
//!
//! # What is assumed
//!
//! Each of these has a variant that breaks it, in [`strict::variants::ASSUMPTIONS`], and for those of replication
//! [`strict::variants::REMEDIES`] has what would do without:
//!
//! - a data node that has followed the new master does not go back to the deposed one, be it by re-pointing, by a restart
//!   without its configuration, or because Sentinel promotes a deposed master that it never demoted (Sentinel of Redis
//!   7.0.15 does: freeze the master, thaw it after the failover, then stop its successor while the other replica has
//!   priority nought; `REPLICAOF NO ONE` on a master leaves `master_replid` as it is);
//! - the data nodes' clocks differ by less than the longest lease (fences only);
//! - a forced release is certain once the former holder's deadline has passed, not before.
//!
//! # What is not modelled
//!
//! Clock *rates* and steps; deletion by eviction; more than three data nodes; leases shorter than the longest; Sentinel's
//! own agreement (an answer that is asked for is that of the moment); a waiting line.

mod check;
pub mod quorum;
pub mod report;
pub mod strict;

pub use check::{Check, Expected, check, checks};
