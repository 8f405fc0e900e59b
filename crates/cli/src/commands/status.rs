//! `leasehold status`: who holds a resource.

use leasehold::Holder;
use serde_json::json;

use super::{document, held_for, holders, owner, remaining};
use crate::connect::Source;
use crate::exit::{self, Failure};
use crate::gate::{self, Looked};
use crate::output::{Output, Tone, plain, table};

/// Tell who holds a resource
///
/// Ends with 0 if it is held and with 1 if it is free, so that a script can ask with --quiet; with
/// --slots, with 0 if every slot is held and with 1 if one is free.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The name of the resource
    resource: String,
    /// Look at this many slots of the resource
    #[arg(long, value_name = "COUNT")]
    slots: Option<usize>,
}

const FREE: u8 = 1;

pub(crate) async fn main(
    arguments: &Arguments,
    source: &Source,
    output: Output,
) -> Result<u8, Failure> {
    let resource = arguments.resource.as_str();
    let (config, locker) = source.onlooker().await?;
    let holders = holders(&locker, resource, arguments.slots).await?;
    let gate = gate::look(&config).await;
    match (arguments.slots, holders.first()) {
        (None, Some(holder)) => one(resource, holder.as_ref(), &gate, output),
        _ => slots(resource, &holders, &gate, output),
    }
    Ok(if holders.iter().all(Option::is_some) {
        exit::OK
    } else {
        FREE
    })
}

fn one(resource: &str, holder: Option<&Holder>, gate: &Looked, output: Output) {
    if output.json {
        let mut document = document(resource, holder);
        document["gate"] = gate::document(gate);
        return output.document(&document);
    }
    if output.quiet {
        return;
    }
    let gate = gate.as_ref().map(gate::described);
    let Some(holder) = holder else {
        let free = output.coloured(Tone::Good, "free");
        output.line(&format!("{}: {free}", plain(resource)));
        return gate.iter().for_each(|gate| row("gate", gate, output));
    };
    let held = output.coloured(Tone::Doubtful, "held");
    output.line(&format!("{}: {held}", plain(resource)));
    rows(holder, output);
    gate.iter().for_each(|gate| row("gate", gate, output));
}

fn row(name: &str, value: &str, output: Output) {
    output.line(&format!("  {name:<10} {value}"));
}

fn rows(holder: &Holder, output: Output) {
    let row = |name: &str, value: &str| row(name, value, output);
    row("holder", &owner(holder));
    if holder.held_for.is_some() {
        row("held for", &held_for(holder));
    }
    row("remaining", &remaining(holder));
    if let Some(waiters) = holder.waiters {
        row("waiters", &waiters.to_string());
    }
    if let Some(id) = &holder.id {
        row("holder id", id);
    }
}

fn slots(resource: &str, holders: &[Option<Holder>], gate: &Looked, output: Output) {
    let held = holders.iter().flatten().count();
    if output.json {
        let slots: Vec<_> = holders
            .iter()
            .enumerate()
            .map(|(slot, holder)| {
                let mut document = document(resource, holder.as_ref());
                document["slot"] = slot.into();
                document
            })
            .collect();
        return output.document(&json!({
            "resource": resource, "limit": holders.len(), "held": held, "slots": slots,
            "gate": gate::document(gate),
        }));
    }
    if output.quiet {
        return;
    }
    let tone = if held == holders.len() {
        Tone::Doubtful
    } else {
        Tone::Good
    };
    let summary = format!("{held} of {} slots held", holders.len());
    let summary = output.coloured(tone, &summary);
    output.line(&format!("{}: {summary}", plain(resource)));
    let rows: Vec<Vec<String>> = holders
        .iter()
        .enumerate()
        .filter_map(|(slot, holder)| Some(slot_row(slot, holder.as_ref()?)))
        .collect();
    if !rows.is_empty() {
        output.line(&table(&["SLOT", "HOLDER", "REMAINING", "HOLDER ID"], &rows));
    }
    if let Some(holder) = holders.iter().flatten().next() {
        let waiters = super::waiters(holder);
        output.line(&format!("waiters: {waiters}"));
    }
    if let Some(gate) = gate {
        output.line(&format!("gate: {}", gate::described(gate)));
    }
}

fn slot_row(slot: usize, holder: &Holder) -> Vec<String> {
    vec![
        slot.to_string(),
        owner(holder),
        remaining(holder),
        holder.id.clone().unwrap_or_default(),
    ]
}
