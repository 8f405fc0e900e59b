//! `cargo xtask compose-test`: the clusters of `docker/` with workers in containers, while nodes are
//! paused, killed, cut off and moved; what the workers and the journal recorded is checked like the demo's, and
//! by the checker of the fault campaign. And every command of `docs/docker.md`.

use std::path::Path;
use std::thread;

use crate::outcome::Outcome;

mod cluster;
mod engine;
mod faults;
mod history;
mod images;
mod page;
mod report;
mod run;
mod subnets;

use cluster::Layout;
use engine::Engine;
use images::Images;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// This part alone
    #[arg(long, value_enum)]
    only: Option<Part>,
}

/// A cluster of `docker/`, or the commands of `docs/docker.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Shared,
    Parted,
    Tls,
    Service,
    Book,
}

impl Part {
    fn layouts(only: Option<Self>) -> Vec<Layout> {
        match only {
            None => vec![Layout::Shared, Layout::Parted, Layout::Tls, Layout::Service],
            Some(Self::Shared) => vec![Layout::Shared],
            Some(Self::Parted) => vec![Layout::Parted],
            Some(Self::Tls) => vec![Layout::Tls],
            Some(Self::Service) => vec![Layout::Service],
            Some(Self::Book) => Vec::new(),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let with_book = matches!(arguments.only, None | Some(Part::Book));
    let layouts_wanted = Part::layouts(arguments.only);
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
    // Two at a time: they mostly wait for Sentinels, and more would be too much for a small machine.
    let run_all = |layouts: &[Layout]| -> Vec<_> {
        let wanted = layouts
            .iter()
            .filter(|layout| layouts_wanted.contains(layout));
        wanted
            .map(|&layout| run::run(&engine, &images, &source, directory.path(), layout))
            .collect()
    };
    let (first, mut runs, book) = thread::scope(|scope| {
        let first = scope.spawn(|| run_all(&[Layout::Shared, Layout::Tls]));
        let second = run_all(&[Layout::Parted, Layout::Service]);
        let book = with_book.then(|| page::run(&engine, &images, &source, directory.path()));
        (first.join(), second, book)
    });
    runs.extend(first.map_err(|_| "a run panicked")?);
    let mut is_good = true;
    for run in runs {
        let run = run.map_err(|error| error.to_string())?;
        print!("{}", report::text(&run));
        is_good &= run.is_good();
    }
    match book {
        Some(Ok(blocks)) => println!("docs/docker.md\n  {blocks} blocks of commands\n  passed"),
        Some(Err(error)) => return Err(error.to_string().into()),
        None => {}
    }
    Ok(is_good)
}

/// Progress goes to standard error, so that standard output is the result alone.
fn say(what: &str) {
    eprintln!("compose-test: {what}");
}
