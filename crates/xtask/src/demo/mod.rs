//! `cargo xtask demo`: four workers contend for one lease while faults are injected, and what they
//! and the journal recorded is checked and drawn.

use std::error::Error;
use std::io::{IsTerminal, Write, stdout};

use crate::cargo;
use crate::outcome::Outcome;
use crate::prepare::{self, Need};

pub(crate) mod history;
pub(crate) mod late;
mod options;
mod picture;
#[path = "../../../lock/examples/journal/register.rs"]
pub(crate) mod register;
mod report;
mod run;
mod svg;
pub(crate) mod verdict;
mod workers;

pub(crate) use options::Options;
use picture::Paint;
use report::Screen;
use verdict::Verdict;

pub(crate) fn run(options: &Options) -> Outcome {
    prepare::get(Need::REDIS)?;
    run::say("building the worker (crates/lock/examples/worker)");
    let program = cargo::build("--example", "worker")?;
    let directory = tempfile::Builder::new()
        .prefix("leasehold-demo-")
        .tempdir()?;
    let ran = run::run(options, &program, directory.path());
    let is_good = match ran {
        Ok(run) => present(&run, options),
        Err(error) => Err(error),
    };
    if !matches!(is_good, Ok(true)) {
        let kept = directory.keep();
        run::say(&format!(
            "the logs and the journal are in {}",
            kept.display()
        ));
    }
    is_good
}

/// Prints the result, and says whether it is good.
fn present(run: &run::Run, options: &Options) -> Result<bool, Box<dyn Error>> {
    let verdict = Verdict::of(&run.history);
    if let Some(path) = &options.svg {
        let drawing = svg::draw(&run.history, &verdict, &report::title(options));
        std::fs::write(path, drawing).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let text = if options.as_json {
        format!("{:#}\n", report::json(run, &verdict, options))
    } else {
        report::text(run, &verdict, options, screen())
    };
    stdout().write_all(text.as_bytes())?;
    Ok(report::passed(run, &verdict))
}

fn screen() -> Screen {
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let columns = std::env::var("COLUMNS").ok();
    Screen {
        columns: columns.and_then(|text| text.parse().ok()).unwrap_or(100),
        paint: Paint {
            is_on: stdout().is_terminal() && !is_plain,
        },
    }
}
