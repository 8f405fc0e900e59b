//! `cargo xtask compose-test`: the clusters of `docker/` with workers in containers, while nodes are
//! paused, killed and cut off; what the workers and the journal recorded is checked like the demo's.

use std::path::Path;
use std::thread;

use crate::Outcome;
use crate::arguments::{Arguments, Misuse};

mod engine;
mod faults;
mod images;
mod play;
mod report;
mod stand;

use engine::Engine;
use images::Images;
use stand::Layout;

pub(crate) const USAGE: &str = "[--only shared|parted]";

pub(crate) fn run(mut arguments: Arguments) -> Outcome {
    let only: Option<String> = arguments.value("--only")?;
    arguments.finish()?;
    let layouts = match only.as_deref() {
        None => vec![Layout::Shared, Layout::Parted],
        Some("shared") => vec![Layout::Shared],
        Some("parted") => vec![Layout::Parted],
        Some(other) => return Err(Misuse::new(format!("--only does not take {other:?}")).into()),
    };
    let engine = match Engine::find() {
        Ok(engine) => engine,
        Err(why) => {
            println!("compose-test: nothing was tested: {why}");
            return Ok(true);
        }
    };
    say(&format!("engine {}, {}", engine.version, engine.compose()));

    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let directory = tempfile::Builder::new()
        .prefix("leasehold-compose-test-")
        .tempdir()?;
    // Two of these at once would take each other's containers away.
    let _alone = engine::alone()?;
    let images = Images::get(&source)?;
    // At the same time: they mostly wait for Sentinels.
    let runs = thread::scope(|scope| {
        let play = |layout| {
            let (engine, images, source) = (&engine, &images, &source);
            let directory = directory.path();
            scope.spawn(move || play::play(engine, images, source, directory, layout))
        };
        let playing: Vec<_> = layouts.into_iter().map(play).collect();
        playing
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect::<Vec<_>>()
    });
    let mut is_good = true;
    for run in runs {
        let run = run.map_err(|_| "a run panicked")?;
        let run = run.map_err(|error| error.to_string())?;
        print!("{}", report::text(&run));
        is_good &= run.is_good();
    }
    Ok(is_good)
}

/// Progress goes to standard error, so that standard output is the result alone.
fn say(what: &str) {
    eprintln!("compose-test: {what}");
}
