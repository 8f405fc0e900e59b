//! `leasehold status`: who holds a resource.

use leasehold::Holder;
use serde_json::json;

use super::{document, held_for, holders, owner, remaining};
use crate::connect::Source;
use crate::exit::{self, Failure};
use crate::output::{Output, Tone, plain, table};

/// Tell who holds a resource
///
/// Ends with 0 if it is held and with 1 if it is free, so that a script can ask with --quiet; with
/// --slots, with 0 if every slot is held and with 1 if one is free.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The name of the resource
    resource: String,
    /// Look at so many slots of the resource
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
    let locker = source.locker().await?;
    let holders = holders(&locker, resource, arguments.slots).await?;
    match (arguments.slots, holders.first()) {
        (None, Some(holder)) => one(resource, holder.as_ref(), output),
        _ => slots(resource, &holders, output),
    }
    Ok(if holders.iter().all(Option::is_some) {
        exit::OK
    } else {
        FREE
    })
}

fn one(resource: &str, holder: Option<&Holder>, output: Output) {
    if output.json {
        return output.document(&document(resource, holder));
    }
    if output.quiet {
        return;
    }
    let Some(holder) = holder else {
        let free = output.coloured(Tone::Good, "free");
        return output.line(&format!("{}: {free}", plain(resource)));
    };
    let held = output.coloured(Tone::Doubtful, "held");
    output.line(&format!("{}: {held}", plain(resource)));
    let row = |name: &str, value: &str| output.line(&format!("  {name:<10} {value}"));
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

fn slots(resource: &str, holders: &[Option<Holder>], output: Output) {
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
        .filter_map(|(slot, holder)| Some(row(slot, holder.as_ref()?)))
        .collect();
    if !rows.is_empty() {
        output.line(&table(&["SLOT", "HOLDER", "REMAINING", "HOLDER ID"], &rows));
    }
    if let Some(holder) = holders.iter().flatten().next() {
        let waiters = super::waiters(holder);
        output.line(&format!("waiters: {waiters}"));
    }
}

fn row(slot: usize, holder: &Holder) -> Vec<String> {
    vec![
        slot.to_string(),
        owner(holder),
        remaining(holder),
        holder.id.clone().unwrap_or_default(),
    ]
}
