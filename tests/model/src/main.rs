//! Explores the models and reports: `leasehold-model [--full] [--json] [--variant NAME] [--list]`.
//!
//! Succeeds if all that must hold holds, and all that must break breaks.

use std::process::ExitCode;

use leasehold_model::report::Outcome;
use leasehold_model::{Check, Expected, checks};
use serde_json::json;

const USAGE: &str = "usage: leasehold-model [--full] [--json] [--variant NAME] [--list]

  --full          also the configurations that take their time
  --json          one JSON object per configuration, and one with the sum
  --variant NAME  this configuration only
  --list          what there is to explore";

/// What the command line asks for.
#[derive(Default)]
struct Wish {
    full: bool,
    json: bool,
    list: bool,
    variant: Option<String>,
}

fn main() -> ExitCode {
    let wish = match parse(std::env::args().skip(1)) {
        Ok(wish) => wish,
        Err(complaint) => {
            eprintln!("{complaint}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let chosen: Vec<Check> = checks().filter(|check| wants(&wish, check)).collect();
    if chosen.is_empty() {
        eprintln!("there is no such variant\n\n{USAGE}");
        return ExitCode::from(2);
    }
    if wish.list {
        for check in chosen {
            println!("{:<28} {}", check.name, check.about);
        }
        return ExitCode::SUCCESS;
    }
    if run(&chosen, wish.json) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn parse(words: impl Iterator<Item = String>) -> Result<Wish, String> {
    let mut wish = Wish::default();
    let mut words = words;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--full" => wish.full = true,
            "--json" => wish.json = true,
            "--list" => wish.list = true,
            "--variant" => wish.variant = Some(words.next().ok_or("--variant needs a name")?),
            other => return Err(format!("{other}: not understood")),
        }
    }
    Ok(wish)
}

fn wants(wish: &Wish, check: &Check) -> bool {
    match &wish.variant {
        Some(name) => name == check.name,
        None => wish.full || wish.list || !check.takes_its_time,
    }
}

/// Explores what was chosen, and says whether all came out as it must.
fn run(chosen: &[Check], json: bool) -> bool {
    let (mut states, mut seconds, mut wrong) = (0, 0.0, Vec::new());
    for check in chosen {
        let outcome = check.run();
        states += outcome.states;
        seconds += outcome.seconds;
        let right = check.is_met_by(&outcome);
        if !right {
            wrong.push(check.name);
        }
        if json {
            println!("{}", described(check, &outcome, right));
        } else {
            println!("{outcome}  {}\n", verdict(check, right));
        }
    }
    if json {
        println!(
            "{}",
            json!({ "configurations": chosen.len(), "states": states, "seconds": seconds, "wrong": wrong })
        );
    } else {
        println!(
            "{} configurations, {states} distinct states, {seconds:.0} s",
            chosen.len()
        );
        println!(
            "{}",
            if wrong.is_empty() {
                "all as it must be".to_owned()
            } else {
                format!("WRONG: {wrong:?}")
            }
        );
    }
    wrong.is_empty()
}

fn described(check: &Check, outcome: &Outcome, right: bool) -> serde_json::Value {
    let mut value = outcome.to_json();
    value["about"] = json!(check.about);
    value["expected"] = match check.expected {
        Expected::Holds => json!("holds"),
        Expected::Breaks(property) => json!({ "breaks": property }),
    };
    value["as_expected"] = json!(right);
    value
}

fn verdict(check: &Check, right: bool) -> String {
    let must = match check.expected {
        Expected::Holds => "must hold".to_owned(),
        Expected::Breaks(property) => format!("must break `{property}`"),
    };
    format!("{must}: {}", if right { "as it must be" } else { "WRONG" })
}
