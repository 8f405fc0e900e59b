//! `cargo xtask temporal-test`: workflows on a real Temporal server under locks on a real Sentinel
//! cluster, with workers that die, a master that dies, and a workflow that is cancelled while it
//! waits.

use std::error::Error;
use std::path::Path;

use crate::outcome::Outcome;
use crate::prepare::{self, Need};

mod checks;
mod disabled;
mod overhead;
mod play;
mod programs;
mod report;
mod server;
mod sockets;

use checks::Check;
use programs::{Build, Programs};
use server::TemporalServer;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// From a build without optimization, which takes less time; measures nothing
    #[arg(long)]
    debug: bool,
    /// As --debug, with fewer workflows
    #[arg(long)]
    short: bool,
    /// Only measures what a free lock adds to an activity
    #[arg(long, conflicts_with_all = ["debug", "short"])]
    overhead: bool,
}

/// What the runs have in common.
struct Stage<'a> {
    programs: Programs,
    temporal: TemporalServer,
    /// Where each run has a directory for its `.env` and its logs.
    directory: &'a Path,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    prepare::get(Need::REDIS)?;
    let build = if arguments.debug || arguments.short {
        Build::Debug
    } else {
        Build::Release
    };
    if !arguments.overhead {
        programs::test_crate(build)?;
    }
    let directory = tempfile::Builder::new()
        .prefix("leasehold-temporal-")
        .tempdir()?;
    let stage = Stage {
        programs: Programs::build(build)?,
        temporal: TemporalServer::start(directory.path())?,
        directory: directory.path(),
    };
    let checks = play_all(&stage, arguments);
    let is_good = matches!(&checks, Ok(checks) if checks.iter().all(|check| check.is_kept));
    if !is_good {
        // A reader needs the logs then.
        say(&format!("the logs are in {}", directory.keep().display()));
    }
    for check in &checks? {
        println!(
            "{} {}",
            if check.is_kept { "yes" } else { "NO " },
            check.what
        );
    }
    println!("\n{}", if is_good { "passed" } else { "FAILED" });
    Ok(is_good)
}

fn play_all(stage: &Stage<'_>, arguments: &Arguments) -> Result<Vec<Check>, Box<dyn Error>> {
    if arguments.overhead {
        return Ok(vec![overhead::measure(stage)?]);
    }
    let (with_faults, disabled) = if arguments.short { (20, 10) } else { (50, 50) };
    let mut checks = play::with_faults(stage, with_faults)?;
    if stage.programs.build == Build::Release {
        checks.push(overhead::measure(stage)?);
    }
    checks.extend(disabled::run(stage, disabled)?);
    Ok(checks)
}

/// Progress goes to standard error, so that standard output is the result alone.
fn say(what: &str) {
    eprintln!("temporal-test: {what}");
}
