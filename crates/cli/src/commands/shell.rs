//! `leasehold completions` and `leasehold man`.

use std::io::{self, Write};

use clap::CommandFactory;

use crate::Cli;
use crate::exit::{self, Failure};

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The shell
    shell: clap_complete::Shell,
}

pub(crate) fn completions(arguments: &Arguments) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Cli::command(),
        "leasehold",
        &mut script,
    );
    // A reader that has gone is no failure.
    let _ = io::stdout().write_all(&script);
    exit::OK
}

pub(crate) fn man() -> Result<u8, Failure> {
    let mut page = Vec::new();
    let mut render = |command: clap::Command| clap_mangen::Man::new(command).render(&mut page);
    let mut all = Cli::command();
    all.build();
    render(all.clone())
        .and_then(|()| {
            let commands = all
                .get_subcommands()
                .filter(|command| !command.is_hide_set());
            commands.cloned().try_for_each(&mut render)
        })
        .map_err(|error| Failure::internal("making the manual page", &error))?;
    let _ = io::stdout().write_all(&page);
    Ok(exit::OK)
}
