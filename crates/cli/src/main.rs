//! The `leasehold` command: run a command under a lock, look at locks, diagnose Redis and Sentinel.

mod commands;
mod connect;
mod doctor;
mod duration;
mod exit;
mod gate;
mod leasing;
mod log;
mod output;
mod run;
mod sentinels;
mod servers;
mod waiting;

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use serde_json::json;

use crate::commands::{
    bench, env as env_command, failover, list, release, shell, status, ticket, topology, wait,
    watch,
};
use crate::connect::Source;
use crate::exit::Failure;
use crate::output::{Output, complain};

/// Distributed locks over Redis and Sentinel: leases that are renewed, fenced, and lost in time
///
/// The configuration comes from the environment and ./.env, as for the SDK: see `leasehold env`.
#[derive(Debug, Parser)]
#[command(name = "leasehold", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    source: Source,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    /// Print data and errors only
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Log what happens to standard error; twice: everything. RUST_LOG chooses finer
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Run(run::Arguments),
    Acquire(ticket::Acquire),
    Renew(ticket::Renew),
    Release(release::Arguments),
    Status(status::Arguments),
    List(list::Arguments),
    Watch(watch::Arguments),
    Wait(wait::Arguments),
    Topology(topology::Arguments),
    Doctor(doctor::Arguments),
    Failover(failover::Arguments),
    Bench(bench::Arguments),
    Env(env_command::Arguments),
    Completions(shell::Arguments),
    /// Print the manual page
    Man,
}

impl Command {
    /// Whether it takes locks: the SDK's warnings are about taking them and waiting for them.
    fn takes_locks(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Acquire(_) | Self::Bench(_))
    }
}

fn main() -> ExitCode {
    let mut arguments = env::args_os();
    let program = arguments.next();
    // These are started by `run`, and by nobody else.
    match arguments.next() {
        Some(verb) if verb == "__guard" => run::guard::main(arguments).into(),
        Some(verb) if verb == "__exec" => run::exec::main(arguments).into(),
        verb => {
            let all = program.into_iter().chain(verb).chain(arguments);
            command_line(all).into()
        }
    }
}

fn command_line(arguments: impl Iterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => exit::OK,
                _ => exit::USAGE,
            };
        }
    };
    log::start(cli.verbose, cli.command.takes_locks());
    let is_json = cli.json;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(cli)),
        Err(error) => Err(Failure::internal("starting", &error)),
    };
    outcome.unwrap_or_else(|failure| {
        report(&failure, is_json);
        failure.code
    })
}

async fn dispatch(cli: Cli) -> Result<u8, Failure> {
    let output = Output::new(cli.json, cli.quiet);
    let source = &cli.source;
    match cli.command {
        Command::Run(arguments) => run::main(&arguments, source, output).await,
        Command::Acquire(arguments) => ticket::acquire(&arguments, source, output).await,
        Command::Renew(arguments) => ticket::renew(&arguments, source, output).await,
        Command::Status(arguments) => status::main(&arguments, source, output).await,
        Command::List(arguments) => list::main(&arguments, source, output).await,
        Command::Watch(arguments) => watch::main(&arguments, source, output).await,
        Command::Wait(arguments) => wait::main(&arguments, source, output).await,
        Command::Release(arguments) => release::main(&arguments, source, output).await,
        Command::Doctor(_) => doctor::main(source, output).await,
        Command::Failover(arguments) => failover::main(&arguments, source, output).await,
        Command::Bench(arguments) => bench::main(&arguments, source, output).await,
        Command::Topology(_) => topology::main(source, output).await,
        Command::Env(arguments) => env_command::main(&arguments, source, output),
        Command::Completions(arguments) => Ok(shell::completions(&arguments)),
        Command::Man => shell::man(),
    }
}

fn report(failure: &Failure, is_json: bool) {
    if is_json {
        let document = json!({ "error": { "code": failure.code, "message": failure.message } });
        eprintln!("{document}");
    } else {
        complain(&failure.message);
    }
}
