//! Measures figures and prints them: `leasehold-bench [NAME…] [--json] [--seconds N] [--rounds N]
//! [--svg FILE]`.

use leasehold_bench::figures::{self, Effort};
use leasehold_bench::machine::Machine;
use leasehold_bench::report::Report;
use leasehold_bench::{Error, Result, picture};

const USAGE: &str =
    "usage: cargo xtask bench [NAME…] [--json] [--seconds N] [--rounds N] [--svg FILE]";

/// What was asked for.
struct Asked {
    names: Vec<String>,
    effort: Effort,
    json: bool,
    svg: Option<String>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments
        .first()
        .is_some_and(|first| first == figures::PART)
    {
        return figures::part(&arguments[1..]).await;
    }
    let asked = read(&arguments)?;
    let mut report = Report {
        machine: Machine::look(),
        command: format!("cargo xtask bench {}", arguments.join(" "))
            .trim_end()
            .to_owned(),
        figures: Vec::new(),
    };
    for name in &asked.names {
        eprintln!("measuring {name} …");
        report
            .figures
            .push(figures::measure(name, asked.effort).await?);
    }
    report.machine.finish();
    if let Some(path) = asked.svg {
        std::fs::write(path, picture::draw(&report))?;
    }
    if asked.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

fn read(arguments: &[String]) -> Result<Asked> {
    let mut asked = Asked {
        names: Vec::new(),
        effort: Effort {
            seconds: 5.0,
            rounds: 5,
        },
        json: false,
        svg: None,
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let value = arguments.next().cloned();
            value.ok_or_else(|| Error::from(format!("{argument} needs a value; {USAGE}")))
        };
        match argument.as_str() {
            "--json" => asked.json = true,
            "--seconds" => asked.effort.seconds = value()?.parse()?,
            "--rounds" => asked.effort.rounds = value()?.parse()?,
            "--svg" => asked.svg = Some(value()?),
            name if figures::NAMES.contains(&name) => asked.names.push(name.to_owned()),
            other => {
                let names = figures::NAMES.join(", ");
                return Err(Error::from(format!(
                    "there is no figure {other:?}, only {names}; {USAGE}"
                )));
            }
        }
    }
    if asked.effort.rounds == 0 || asked.effort.seconds <= 0.0 {
        return Err(Error::from(format!(
            "nothing can be measured in no time; {USAGE}"
        )));
    }
    if asked.names.is_empty() {
        asked.names = figures::NAMES.map(str::to_owned).to_vec();
    }
    Ok(asked)
}
