//! The project's own commands. Run one with `cargo xtask NAME`; without a name they are listed.
//!
//! One command, one module: its `run` takes its arguments. To add a command, add its module and a variant of [`Task`].

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod api;
mod bench;
mod cargo;
mod circles;
mod compose_test;
mod demo;
mod faults;
mod features;
mod fuzz;
mod interop;
mod matrix;
mod model;
mod outcome;
mod package;
mod prepare;
mod process;
mod python;
mod release;
mod schedules;
mod temporal_test;
mod test;

use outcome::Outcome;

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
struct Xtask {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Four workers contend for one lease while their master dies; draws who held it when
    Demo(demo::Options),
    /// Gets what is missing and runs every test
    Test(test::Arguments),
    /// Breaks servers, network and clients at random, and checks that no rule of the leases was broken
    #[command(disable_help_flag = true)]
    Faults(faults::Arguments),
    /// Searches for replies and .env files that break a promise, with libFuzzer
    Fuzz(fuzz::Arguments),
    /// Shares one limit with Atlan's SDK, redis-py and redlock-py, and counts the holders
    Interop(interop::Arguments),
    /// Runs the tests of the library on every server that it supports, and prints a table
    Matrix(matrix::Arguments),
    /// Looks for files that import each other in a circle
    Circles(circles::Arguments),
    /// Writes the public interface of the SDK into api.txt, or compares it with that
    Api(api::Arguments),
    /// Checks the published packages with every combination of their features
    Features(features::Arguments),
    /// Builds each published package from what it contains alone, and a new project that depends on them
    Package,
    /// Makes a release: version, tag, packages, the command, checksums; publishes nothing
    Release(release::Arguments),
    /// Runs the Docker clusters of docker/ with workers, breaks them, and checks what the workers did
    ComposeTest(compose_test::Arguments),
    /// Runs Temporal workflows under locks, kills a worker and the master, and checks what they did
    TemporalTest(temporal_test::Arguments),
    /// Checks the lock protocol's model, state by state
    #[command(disable_help_flag = true)]
    Model(model::Arguments),
    /// Tries the client's own races: threads, cancelled acquisitions, lost and late answers, seed by seed
    Schedules(schedules::Arguments),
    /// Measures what a lease costs, beside what others cost
    #[command(disable_help_flag = true)]
    Bench(bench::Arguments),
}

impl Task {
    fn run(self) -> Outcome {
        match self {
            Self::Demo(options) => demo::run(&options),
            Self::Test(arguments) => test::run(&arguments),
            Self::Faults(arguments) => faults::run(&arguments),
            Self::Fuzz(arguments) => fuzz::run(&arguments),
            Self::Interop(arguments) => interop::run(arguments),
            Self::Matrix(arguments) => matrix::run(&arguments),
            Self::Circles(arguments) => circles::run(&arguments),
            Self::Api(arguments) => api::run(&arguments),
            Self::Features(arguments) => features::run(&arguments),
            Self::Package => package::run(),
            Self::Release(arguments) => release::run(&arguments),
            Self::ComposeTest(arguments) => compose_test::run(&arguments),
            Self::TemporalTest(arguments) => temporal_test::run(&arguments),
            Self::Model(arguments) => model::run(&arguments),
            Self::Schedules(arguments) => schedules::run(&arguments),
            Self::Bench(arguments) => bench::run(&arguments),
        }
    }
}

fn main() -> ExitCode {
    match Xtask::parse().task.run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

/// Prints the error and what caused it.
fn report(error: &dyn Error) {
    eprintln!("cargo xtask: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Xtask::command().debug_assert();
    }

    #[test]
    fn what_follows_a_program_is_passed_on_to_it() {
        let words = ["cargo xtask", "faults", "--minutes", "2", "--help"];
        let Task::Faults(arguments) = Xtask::parse_from(words).task else {
            panic!("another command")
        };
        assert_eq!(arguments.words, ["--minutes", "2", "--help"]);
    }

    #[test]
    fn the_least_privilege_is_taken_and_cargos_options_are_passed_on() {
        let words = [
            "cargo xtask",
            "test",
            "--least-privilege",
            "--locked",
            "--test",
            "lease",
        ];
        let Task::Test(arguments) = Xtask::parse_from(words).task else {
            panic!("another command")
        };
        assert!(arguments.least_privilege);
        assert_eq!(arguments.words, ["--locked", "--test", "lease"]);
    }
}
