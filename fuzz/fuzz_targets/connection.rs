//! Everything that a server says on one connection, from the handshake on.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| leasehold::fuzzing::connection(bytes));
