//! Leasehold beside a web server, a database and a Prometheus exporter. These examples are a package
//! of their own so that what they depend on is no dependency of the SDK.
//!
//! | | |
//! | --- | --- |
//! | [`web`] | an axum handler that works under a lease, and answers 409 and 503 when it cannot |
//! | [`ledger`] | a PostgreSQL table that refuses a holder whose lease is over |
//! | [`scrape`] | the metrics at an address that Prometheus scrapes |
//!
//! Each has a program of the same name in `src/bin`, and a test in `tests` against real servers.

pub mod ledger;
pub mod scrape;
pub mod web;
