//! `cargo xtask matrix`: the tests of the library on every server that it supports.
//!
//! The servers come from packages and are kept below `target/matrix`. The tests are built once; the environment tells the
//! test kit which server to start. To add a server, add it to [`servers::SERVERS`].

mod differences;
mod report;
mod servers;
mod suites;

use crate::cargo;
use crate::outcome::Outcome;
use report::Row;
use servers::{SERVERS, Server};
use suites::{Built, Suite};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Two suites on three servers, for a check of every change
    #[arg(long)]
    short: bool,
    /// These servers alone
    #[arg(long, value_name = "NAME", value_parser = SERVERS.map(|server| server.name))]
    server: Vec<String>,
    /// These suites alone
    #[arg(long, value_enum)]
    suite: Vec<Suite>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    fn servers(&self) -> Vec<Server> {
        let is_wanted = |server: &Server| {
            if self.server.is_empty() {
                return server.is_in_short || !self.short;
            }
            self.server.iter().any(|name| name == server.name)
        };
        SERVERS.into_iter().filter(is_wanted).collect()
    }

    fn suites(&self) -> Vec<Suite> {
        match (self.suite.is_empty(), self.short) {
            (false, _) => self.suite.clone(),
            (true, true) => suites::SHORT.to_vec(),
            (true, false) => suites::ALL.to_vec(),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let suites = arguments.suites();
    let built = suites::build(&suites)?;
    let rows: Vec<Row> = arguments
        .servers()
        .iter()
        .map(|server| row(server, &built))
        .collect();
    if arguments.json {
        println!("{:#}", report::json(&rows));
    } else {
        print!("{}", report::text(&rows, &suites));
    }
    if rows.iter().all(|row| row.result.is_err()) {
        return Err("none of the servers could be had; see the reasons above".into());
    }
    Ok(rows.iter().all(Row::is_good))
}

fn row(server: &Server, built: &[Built]) -> Row {
    let directory = cargo::target_directory().join("matrix");
    let result = server.get(&directory).and_then(|program| {
        let cells = built.iter().map(|suite| {
            eprintln!("xtask: {} on {}", suite.name(), server.name);
            suite.run(server, &program, &directory.join("logs"))
        });
        Ok((program.version.clone(), cells.collect::<Result<_, _>>()?))
    });
    Row {
        server: server.name,
        settings: server.settings,
        result: result.map_err(|error| error.to_string()),
    }
}
