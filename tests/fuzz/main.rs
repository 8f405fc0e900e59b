//! The fuzz targets of `fuzz/`, without a fuzzer: over all seeds, and over mutations of them for a
//! few seconds. `cargo xtask fuzz` is the thorough search.
//!
//! `LEASEHOLD_FUZZ_SEED` repeats a run, `LEASEHOLD_FUZZ_SECONDS` lengthens it.

mod mutation;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mutation::mutated;

/// The seeds of a target, in the order of their names.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let entries = std::fs::read_dir(directory.join(target)).expect("the seeds");
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort_unstable();
    let read = |path| std::fs::read(path).expect("a seed");
    paths.into_iter().map(read).collect()
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect(variable))
}

/// Runs a target, and says with what it fails.
fn attempt(target: fn(&[u8]), input: &[u8], origin: &str) {
    let attempted = catch_unwind(AssertUnwindSafe(|| target(input)));
    if let Err(panic) = attempted {
        eprintln!("{origin} fails with \"{}\"", input.escape_ascii());
        resume_unwind(panic);
    }
}

fn search(name: &str, target: fn(&[u8])) {
    let seeds = seeds(name);
    assert!(seeds.len() >= 5, "{name} has {} seeds", seeds.len());
    for seed in &seeds {
        attempt(target, seed, "a seed");
    }
    let seed = number("LEASEHOLD_FUZZ_SEED").unwrap_or_else(|| fastrand::u64(..));
    let length = Duration::from_secs(number("LEASEHOLD_FUZZ_SECONDS").unwrap_or(2));
    println!("LEASEHOLD_FUZZ_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let origin = format!("LEASEHOLD_FUZZ_SEED={seed}");
    let (began, mut attempts) = (Instant::now(), 0_u64);
    while began.elapsed() < length {
        attempt(target, &mutated(&seeds, &mut random), &origin);
        attempts += 1;
    }
    println!("{name}: {} seeds, {attempts} mutations", seeds.len());
}

#[test]
fn replies_are_values_or_errors() {
    search("replies", leasehold::fuzzing::replies);
}

#[test]
fn connections_open_or_fail() {
    search("connection", leasehold::fuzzing::connection);
}

#[test]
fn files_are_configurations_or_errors() {
    search("env_file", leasehold_config::fuzzing::env_file);
}
