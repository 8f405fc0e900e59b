//! `cargo xtask schedules`: the client's own races, seed by seed.
//!
//! The schedules are tests of `crates/lock/src/lifecycle/schedules`; every run of the unit tests tries 200 of each. Here tokio is
//! built so that its random choices follow from the seed too, in a directory of its own.

use crate::cargo;
use crate::outcome::Outcome;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many seeds
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    seeds: u64,
    /// The first of them: with `--seeds 1`, this one again
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    first: u64,
}

impl Arguments {
    /// As the tests read it.
    fn range(&self) -> String {
        format!("{}..{}", self.first, self.first.saturating_add(self.seeds))
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let mut command = cargo::cargo();
    command
        .args(["test", "--locked", "--package", "leasehold", "--lib"])
        .arg("--target-dir")
        .arg(cargo::target_directory().join("schedules"))
        .args(["schedules::", "--", "--nocapture"])
        .env("RUSTFLAGS", "--cfg tokio_unstable")
        .env("LEASEHOLD_SEEDS", arguments.range());
    let status = command.status();
    Ok(status
        .map_err(|error| format!("cargo did not start: {error}"))?
        .success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_can_be_run_again() {
        let one = Arguments {
            seeds: 1,
            first: 77,
        };
        assert_eq!(one.range(), "77..78");
    }
}
