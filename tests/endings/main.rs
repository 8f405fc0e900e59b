//! How leases and attempts end on our side: released, dropped, aborted, in the middle of anything.

mod dropped;
mod forks;
mod programs;
mod releases;
