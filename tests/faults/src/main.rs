//! Runs fault campaigns; see the library.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use leasehold_faults::{
    campaign::{Campaign, Outcome, examine},
    client::{self, Protocol},
};

const USAGE: &str = "\
Injects faults into real servers while clients compete for leases, and checks what happened.

  leasehold-faults [--minutes N] [--seed S] [--mode strict|relaxed|plain|quorum] [--clients N] [--json] [--out DIR]
  leasehold-faults check DIR [--mode MODE]   checks the history of an earlier run again

Ends with 0 if no rule was broken, 1 if one was, 2 if the run could not be made, and 3 if it had too few grants or
faults in it to prove anything. The history is kept in DIR; of a failing one there is a picture, timeline.svg.
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

type Failure = Box<dyn std::error::Error>;

fn run(words: &[&str]) -> Result<u8, Failure> {
    match words {
        ["client", assignment] => {
            tracing_subscriber::fmt()
                .with_writer(std::io::stderr)
                .with_env_filter("leasehold=debug")
                .init();
            client::run(serde_json::from_str(assignment)?)?;
            Ok(0)
        }
        ["check", directory, options @ ..] => {
            let (campaign, json) = parse(options)?;
            let directory = PathBuf::from(directory);
            print(
                &examine(&directory, campaign.seed, campaign.protocol)?,
                json,
            )
        }
        ["--help" | "-h", ..] => {
            print!("{USAGE}");
            Ok(0)
        }
        options => {
            let (campaign, json) = parse(options)?;
            print(&campaign.run()?, json)
        }
    }
}

fn parse(options: &[&str]) -> Result<(Campaign, bool), Failure> {
    let mut minutes = 1.0;
    let mut json = false;
    let mut out: Option<PathBuf> = None;
    let mut campaign = Campaign {
        length: Duration::ZERO,
        seed: 1,
        protocol: Protocol::Strict,
        clients: 8,
        program: std::env::current_exe()?,
        directory: PathBuf::new(),
    };
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let mut value = || {
            options
                .next()
                .ok_or_else(|| format!("{option} needs a value\n\n{USAGE}"))
        };
        match *option {
            "--minutes" => minutes = value()?.parse()?,
            "--seed" => campaign.seed = value()?.parse()?,
            "--clients" => campaign.clients = value()?.parse()?,
            "--mode" => {
                campaign.protocol = serde_json::from_value(serde_json::Value::from(*value()?))?;
            }
            "--out" => out = Some(PathBuf::from(value()?)),
            "--json" => json = true,
            unknown => return Err(format!("{unknown} is no option\n\n{USAGE}").into()),
        }
    }
    campaign.length = Duration::from_secs_f64(minutes * 60.0);
    campaign.directory = out.unwrap_or_else(|| {
        let name = format!("{:?}-{}", campaign.protocol, campaign.seed).to_lowercase();
        PathBuf::from("target/faults").join(name)
    });
    Ok((campaign, json))
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
