//! What Leasehold is measured against.

pub mod bare;
pub mod ping;
pub mod plain;
pub mod rslock;
