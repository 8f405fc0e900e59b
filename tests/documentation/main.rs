//! Files as they stand in the documentation, with nothing changed but hosts and ports, from the file
//! to a lease on real servers; what is promised of switched-off locking; and the messages that the
//! documentation quotes.

mod disabled;
mod files;
mod messages;
