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
use programs::Programs;
use server::TemporalServer;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Fewer workflows
    #[arg(long)]
    short: bool,
}

/// What the runs have in common.
struct Stage<'a> {
    programs: Programs,
    temporal: TemporalServer,
    /// Where each run has a directory for its `.env` and its logs.
    directory: &'a Path,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let is_short = arguments.short;
    prepare::get(Need::REDIS)?;
    programs::test_crate()?;
    let directory = tempfile::Builder::new()
        .prefix("leasehold-temporal-")
        .tempdir()?;
    let stage = Stage {
        programs: Programs::build()?,
        temporal: TemporalServer::start(directory.path())?,
        directory: directory.path(),
    };
    let checks = play_all(&stage, is_short);
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

fn play_all(stage: &Stage<'_>, is_short: bool) -> Result<Vec<Check>, Box<dyn Error>> {
    let mut checks = play::with_faults(stage, if is_short { 20 } else { 50 })?;
    checks.extend(disabled::run(stage, if is_short { 10 } else { 50 })?);
    Ok(checks)
}

/// Progress goes to standard error, so that standard output is the result alone.
fn say(what: &str) {
    eprintln!("temporal-test: {what}");
}
