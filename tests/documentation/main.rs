//! Files as they stand in the documentation, with nothing changed but hosts and ports, from the file
//! to a lease on real servers; what is promised of switched-off locking; the messages that the
//! documentation quotes; the map of the code; the links; and the words.

mod architecture;
mod disabled;
mod files;
mod language;
mod links;
mod messages;
mod names;
