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
//! | `renew` | `renew.lua`: extends; re-asserts a missing key as long as the gate has not been open |
//! | `confirm` | `WAIT`, then `INFO stats`, on the same connection: a majority of the configured data nodes has the write, and no grant counts if `sync_full` has grown since the gate was claimed |
//! | `release` | `release.lua`: compare and delete |
//! | `gate_claim` | `gate_claim.lua`: pending, for this incarnation; and again once `sync_full` has grown (`resynced`) |
//! | `gate_open` | `gate_open.lua`, after `confirm`: open from now + longest lease |
//! | `raise` | quorum mode's second phase: the write-back of the fence |
//!
//! Why it holds: to confirm anything a deposed master needs a data node that does not follow the new one yet. Once a
//! majority has the new incarnation's claim there is no such majority any more. What the deposed master confirmed before
//! ends, by its holders' own clocks, within the longest lease; only then does the gate open. A master that was deposed and
//! never demoted keeps its incarnation and its open gate; but whoever has followed another master meanwhile is sent
//! everything when it comes back, is counted in `sync_full` before it can confirm anything, and voids what it confirms.
//!
//! # What is modelled
//!
//! - Three data nodes. A replica copies all that its master has, at any moment or never. `WAIT` counts a replica from its
//!   copy on, whenever the reply arrives; so acknowledgements may reach a client after the replica has been re-pointed.
//! - Sentinel promotes any node at any moment, in whatever state its data is. Deposed masters go on serving until they
//!   are re-pointed, if ever; so do their replicas. Data nodes come back to them at any moment, and Sentinel may promote
//!   them again as they are. A client may be connected to *any* node that calls itself master, so nothing rests on
//!   Sentinel's answers being fresh, the epoch that `gate_claim` is given apart.
//! - Partial and full synchronisation. A node is sent everything, and counted, where it has followed what another master
//!   wrote since this one's incarnation began; where it has not, it may be all the same. In the adversary's favour a node
//!   that was ahead of the promoted one counts as if it were not.
//! - Scripts that come late: whoever learned that any claim of an incarnation was confirmed may run `gate_open` at any time.
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
//! Each of these has a variant that breaks it, in [`strict::variants::ASSUMPTIONS`] (the epoch's is `syncs-pardoned`).
//! [`strict::variants::REMEDIES`] has what would do without the first, and what would do if synchronisations were not
//! counted:
//!
//! - a replica keeps its configuration when it restarts: it does not come up as a master;
//! - a replica that restarts has all that it had, or nothing: with an older snapshot it would pass for one that has followed
//!   nobody else since (Redis keeps `master_replid` in the snapshot);
//! - the epoch that `gate_claim` is given is no older than one longest lease where it is nought;
//! - the data nodes' clocks differ by less than the longest lease (fences only);
//! - a forced release is certain once the former holder's deadline has passed, not before.
//!
//! # What is not modelled
//!
//! Clock *rates* and steps; deletion by eviction; more than three data nodes; leases shorter than the longest; Sentinel's
//! own agreement (an answer that is asked for is that of the moment); a waiting line.

mod check;
pub mod native;
pub mod quorum;
pub mod report;
pub mod strict;
pub mod takeover;

pub use check::{Check, Expected, check, checks};
