//! Files as they stand in the documentation, with nothing changed but hosts and ports, from the file
//! to a lease on real servers; and what is promised of switched-off locking.

mod disabled;
mod files;
