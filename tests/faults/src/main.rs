//! Runs fault campaigns; see the library.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};
use leasehold_faults::{
    campaign::{Campaign, Outcome, examine},
    client::{self, Protocol},
};

/// Injects faults into real servers while clients compete for leases, and checks what happened.
///
/// Ends with 0 if no rule was broken, 1 if one was, 2 if the run could not be made, and 3 if it had too few grants or
/// faults in it to prove anything. The history is kept; of a failing one there is a picture, timeline.svg.
#[derive(Debug, Parser)]
#[command(
    bin_name = "cargo xtask faults",
    args_conflicts_with_subcommands = true
)]
struct CommandLine {
    #[command(subcommand)]
    task: Option<Task>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Checks the history of an earlier run again
    Check {
        /// Where it was kept
        directory: PathBuf,
        #[command(flatten)]
        options: Options,
    },
    #[command(hide = true)]
    Client { assignment: String },
}

#[derive(Debug, Clone, Args)]
struct Options {
    /// For how long faults are injected
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// What they are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What the clients do; all but `strict` and `quorum` are controls that must be found guilty
    #[arg(long, value_enum, default_value_t = Protocol::Strict)]
    mode: Protocol,
    /// How many clients there are
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Where the history is kept; a folder below target/faults without it
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(CommandLine::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

type Failure = Box<dyn std::error::Error>;

fn run(line: CommandLine) -> Result<u8, Failure> {
    match line.task {
        Some(Task::Client { assignment }) => {
            tracing_subscriber::fmt()
                .with_writer(std::io::stderr)
                .with_env_filter("leasehold=debug")
                .init();
            client::run(serde_json::from_str(&assignment)?)?;
            Ok(0)
        }
        Some(Task::Check { directory, options }) => print(
            &examine(&directory, options.seed, options.mode)?,
            options.json,
        ),
        None => {
            let json = line.options.json;
            print(&campaign(line.options)?.run()?, json)
        }
    }
}

fn campaign(options: Options) -> Result<Campaign, Failure> {
    let length = Duration::try_from_secs_f64(options.minutes * 60.0)
        .map_err(|error| format!("--minutes {}: {error}", options.minutes))?;
    let directory = options.out.unwrap_or_else(|| {
        let name = format!("{:?}-{}", options.mode, options.seed).to_lowercase();
        PathBuf::from("target/faults").join(name)
    });
    Ok(Campaign {
        length,
        seed: options.seed,
        protocol: options.mode,
        clients: options.clients,
        program: std::env::current_exe()?,
        directory,
    })
}

fn print(outcome: &Outcome, json: bool) -> Result<u8, Failure> {
    let report = &outcome.report;
    if json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        println!("{report}");
        for violation in outcome.violations.iter().take(20) {
            println!(
                "  {} {}: {}",
                violation.rule, violation.resource, violation.what
            );
        }
    }
    Ok(match (report.total_violations(), &report.void) {
        (1.., _) => 1,
        (0, Some(_)) => 3,
        (0, None) => 0,
    })
}
