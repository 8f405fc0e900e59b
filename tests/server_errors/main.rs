//! What a server says, or fails to say, while it is in trouble: typed errors in time, and back to
//! work as soon as the trouble is over.

mod commands;
mod passwords;
mod refusals;
mod scripts;
mod silence;
