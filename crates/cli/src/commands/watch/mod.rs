//! `leasehold watch`: who holds what, again and again.

mod screen;
mod view;

use std::io::{self, Write};
use std::time::Duration;

use leasehold::config::parse_duration;
use tokio::time::{Instant, sleep_until};

use self::screen::{Event, Screen};
use self::view::View;
use super::list::{Selection, refusal};
use crate::connect::Source;
use crate::exit::{self, Failure};
use crate::gate;
use crate::output::{Output, complain};
use crate::run::by_signal;

/// The gate is looked at no more often, since it takes connections of its own.
const GATE_EVERY: Duration = Duration::from_secs(2);

/// Show the locks that are held, again and again
///
/// On a terminal the table is redrawn until you press Ctrl-C; elsewhere one table is printed per
/// interval, with --json one object a line. Walks through the keys in small steps (SCAN), so it
/// holds nobody up. How long a holder has had the lock is by its own clock. A plain client's lock does
/// not say so: `>` marks how long this command has seen it.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// How often to look
    #[arg(long, short = 'i', value_name = "DURATION", value_parser = parse_duration, default_value = "2s")]
    interval: Duration,
    /// End after looking this many times
    #[arg(long, short = 'c', value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

impl Arguments {
    fn drawing(&self, view: &View, output: Output) -> Vec<String> {
        view.drawing(&self.selection.pattern, self.interval, output)
    }
}

pub(crate) async fn main(
    arguments: &Arguments,
    source: &Source,
    output: Output,
) -> Result<u8, Failure> {
    let (config, locker) = source.onlooker().await?;
    let catching = |error| Failure::internal("catching signals", &error);
    let mut screen = Screen::open(output.is_screen() && !output.json).map_err(catching)?;
    let mut view = View::default();
    let mut left = arguments.count;
    let mut look_again = Instant::now();
    loop {
        let now = Instant::now();
        let next = now + arguments.interval;
        let looked = tokio::select! {
            looked = async {
                if look_again <= now {
                    look_again = now + GATE_EVERY;
                    view.gate = gate::look(&config).await;
                }
                arguments.selection.collect(&locker).await
            } => looked,
            number = screen.ending() => return Ok(by_signal(number)),
        };
        match looked {
            Ok(found) => view.update(found),
            // A failover ends, and so may the trouble.
            Err(error) if error.is_retryable() => view.trouble = Some(format!("{error:?}")),
            Err(error) => return Err(refusal(error)),
        }
        left = left.map(|left| left - 1);
        let is_last = left == Some(0);
        if is_last {
            // What was seen last stays.
            screen.close();
        }
        if !show(&mut screen, &view, arguments, output) || is_last {
            return Ok(exit::OK);
        }
        loop {
            tokio::select! {
                () = sleep_until(next) => break,
                event = screen.event() => match event {
                    Event::Ended(number) => return Ok(by_signal(number)),
                    Event::Redraw => screen.draw(&arguments.drawing(&view, output)),
                },
            }
        }
    }
}

/// Shows what was seen last. Returns whether somebody still reads it.
fn show(screen: &mut Screen, view: &View, arguments: &Arguments, output: Output) -> bool {
    if screen.is_open() {
        screen.draw(&arguments.drawing(view, output));
        return true;
    }
    if let Some(trouble) = &view.trouble {
        complain(trouble);
        return true;
    }
    let text = if output.json {
        view.document().to_string()
    } else {
        view.table(output)
    };
    let mut out = io::stdout();
    writeln!(out, "{text}").and_then(|()| out.flush()).is_ok()
}
