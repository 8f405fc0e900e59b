//! The project's own commands. Run one with `cargo xtask NAME`; without a name they are listed.
//!
//! One command, one module: its function takes the words after the name. To add a command, add its
//! module and a line of [`COMMANDS`].

use std::error::Error;
use std::process::ExitCode;

mod arguments;
mod bench;
mod cargo;
mod compose_test;
mod demo;
mod faults;
mod fuzz;
mod interop;
mod model;
mod prepare;
mod temporal_test;
mod test;

use arguments::{Arguments, Misuse};

/// How a command ends; `Ok(false)` is a command that worked and found what it checks wanting.
type Outcome = Result<bool, Box<dyn Error>>;

struct Command {
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    run: fn(Arguments) -> Outcome,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "demo",
        usage: demo::USAGE,
        about: "four workers contend for one lease while their master dies; draws who held it when",
        run: demo::run,
    },
    Command {
        name: "test",
        usage: test::USAGE,
        about: "gets what is missing and runs every test; or those of the library, as a user with its rights alone",
        run: test::run,
    },
    Command {
        name: "faults",
        usage: faults::USAGE,
        about: "breaks servers, network and clients at random, and checks that no rule of the leases was broken",
        run: faults::run,
    },
    Command {
        name: "fuzz",
        usage: fuzz::USAGE,
        about: "searches for replies and .env files that break a promise, with libFuzzer",
        run: fuzz::run,
    },
    Command {
        name: "interop",
        usage: interop::USAGE,
        about: "shares one limit with Atlan's SDK, redis-py and redlock-py, and counts the holders",
        run: interop::run,
    },
    Command {
        name: "compose-test",
        usage: compose_test::USAGE,
        about: "runs the Docker clusters of docker/ with workers, breaks them, and checks what the workers did",
        run: compose_test::run,
    },
    Command {
        name: "temporal-test",
        usage: temporal_test::USAGE,
        about: "runs Temporal workflows under locks, kills a worker and the master, and checks what the workflows did",
        run: temporal_test::run,
    },
    Command {
        name: "model",
        usage: "[ARGUMENTS…]",
        about: "checks the lock protocol's model, state by state",
        run: model::run,
    },
    Command {
        name: "bench",
        usage: bench::USAGE,
        about: "measures what a lease costs, beside what others cost",
        run: bench::run,
    },
];

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let name = words.next().unwrap_or_default();
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        return list(&name);
    };
    match (command.run)(Arguments::new(words)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cargo xtask {name}: {error}");
            if error.is::<Misuse>() {
                eprintln!("usage: cargo xtask {name} {}", command.usage);
                return ExitCode::from(2);
            }
            ExitCode::FAILURE
        }
    }
}

fn list(asked: &str) -> ExitCode {
    let is_question = matches!(asked, "" | "help" | "-h" | "--help");
    if !is_question {
        eprintln!("there is no command `{asked}`");
    }
    for command in COMMANDS {
        println!("cargo xtask {} {}", command.name, command.usage);
        println!("    {}", command.about);
    }
    ExitCode::from(if is_question { 0 } else { 2 })
}
