//! Replies of a server, read as the answer to every question that the SDK asks.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| leasehold::fuzzing::replies(bytes));
