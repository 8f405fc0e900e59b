//! What breaks other locks over Redis, and what it does to this one.
//!
//! Each test injects what is known to give two holders, or the same fence twice. In strict mode nobody is granted while
//! a holder may still act, and fences only go up. Beside it stands what the same fault does to the plain recipe or to
//! relaxed mode: an assertion that it is broken, so that the test is known to bite.

mod clocks;
mod deposed;
mod election;
mod memory;
mod replaced;
mod replicas;
mod rivals;
mod snapshots;
