//! Measures figures and prints them.

use clap::Parser;
use leasehold_bench::figures::{self, Effort};
use leasehold_bench::machine::Machine;
use leasehold_bench::report::Report;
use leasehold_bench::{Result, picture};

/// Measures what a lease costs, beside what others cost.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask bench")]
struct Asked {
    /// What to measure; everything without it
    #[arg(value_name = "NAME", value_parser = figures::NAMES)]
    names: Vec<String>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// Seconds for each contender and case
    #[arg(long, default_value_t = 5.0, value_parser = positive)]
    seconds: f64,
    /// In how many rounds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Draw the figures into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<String>,
}

impl Asked {
    fn names(&self) -> Vec<&str> {
        if self.names.is_empty() {
            return figures::NAMES.to_vec();
        }
        self.names.iter().map(String::as_str).collect()
    }
}

fn positive(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 => Ok(number),
        _ => Err("it must be a number above zero".to_owned()),
    }
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
    let asked = Asked::parse();
    let mut report = Report {
        machine: Machine::look(),
        command: format!("cargo xtask bench {}", arguments.join(" "))
            .trim_end()
            .to_owned(),
        figures: Vec::new(),
    };
    let effort = Effort {
        seconds: asked.seconds,
        rounds: asked.rounds as usize,
    };
    for name in asked.names() {
        eprintln!("measuring {name} …");
        report.figures.push(figures::measure(name, effort).await?);
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
