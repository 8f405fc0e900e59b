//! The content of an `.env` file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| leasehold_config::fuzzing::env_file(bytes));
