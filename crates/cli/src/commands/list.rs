//! `leasehold list`: which resources are held.

use std::collections::BTreeMap;

use leasehold::{Cause, Error, Listed, Locker, Unavailable};
use serde_json::{Value, json};

use super::{document, held_for, owner, remaining};
use crate::connect::Source;
use crate::exit::{self, Failure};
use crate::gate;
use crate::output::{Output, plain, table};

/// List the resources that are held
///
/// Walks through the keys in small steps (SCAN), so it holds nobody up; what is taken or released
/// meanwhile may be missing.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
}

/// Which locks are looked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Selection {
    /// A Redis glob, such as 'orders:*'
    #[arg(default_value = "*")]
    pub(crate) pattern: String,
    /// Also keys that may be a plain client's lock, or any other string
    #[arg(long)]
    all: bool,
    /// Stop after this many
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    limit: usize,
}

/// What was found, in the order of the names.
pub(crate) struct FoundLocks {
    pub(crate) locks: Vec<Listed>,
    /// Whether there is more than was asked for.
    pub(crate) is_cut: bool,
}

impl Selection {
    /// Walks through the keys in bounded steps.
    pub(crate) async fn collect(&self, locker: &Locker) -> Result<FoundLocks, Error> {
        let mut found: BTreeMap<(String, Option<usize>), Listed> = BTreeMap::new();
        let mut start = Some(0);
        while let Some(at) = start.filter(|_| found.len() <= self.limit) {
            let page = locker.list(&self.pattern, at).await?;
            let wanted = page.found.into_iter();
            let wanted = wanted.filter(|listed| listed.is_lock || self.all);
            found.extend(wanted.map(|listed| ((listed.name.clone(), listed.slot), listed)));
            start = page.next;
        }
        let is_cut = found.len() > self.limit;
        Ok(FoundLocks {
            locks: found.into_values().take(self.limit).collect(),
            is_cut,
        })
    }
}

/// Why the locks cannot be listed. The user that takes locks has no right to list all keys.
pub(crate) fn refusal(error: Error) -> Failure {
    let refused = error.unavailable();
    let Some(Cause::NoPermission { detail }) = refused.map(Unavailable::cause) else {
        return error.into();
    };
    let node = refused.and_then(Unavailable::node);
    let node = node.map_or_else(String::new, |node| format!("{node}: "));
    let message = format!(
        "{node}this user may not list locks ({detail}); connect as the user `observer` of \
         config/users.acl: REDIS_USERNAME=observer, with the password of that user"
    );
    Failure::new(exit::code(&error), message)
}

pub(crate) async fn main(
    arguments: &Arguments,
    source: &Source,
    output: Output,
) -> Result<u8, Failure> {
    let (config, locker) = source.onlooker().await?;
    let collected = arguments.selection.collect(&locker).await;
    let FoundLocks { locks, is_cut } = collected.map_err(refusal)?;
    let gate = gate::look(&config).await;
    if output.json {
        let locks: Vec<_> = locks.iter().map(described).collect();
        output.document(&json!({
            "locks": locks, "truncated": is_cut, "gate": gate::document(&gate),
        }));
        return Ok(exit::OK);
    }
    gate::remark(&gate)
        .iter()
        .for_each(|remark| output.note(remark));
    if locks.is_empty() {
        output.note("nothing is held");
        return Ok(exit::OK);
    }
    let rows: Vec<Vec<String>> = locks.iter().map(row).collect();
    output.line(&table(
        &["RESOURCE", "HOLDER", "HELD FOR", "REMAINING"],
        &rows,
    ));
    if is_cut {
        output.note("there are more: raise --limit");
    }
    Ok(exit::OK)
}

/// A lock as JSON.
pub(crate) fn described(listed: &Listed) -> Value {
    let mut document = document(&listed.name, Some(&listed.holder));
    if let Some(slot) = listed.slot {
        document["slot"] = slot.into();
    }
    document
}

/// The name of the resource, and which of its slots it is.
pub(crate) fn named(listed: &Listed) -> String {
    let name = plain(&listed.name);
    match listed.slot {
        Some(slot) => format!("{name} (slot {slot})"),
        None => name,
    }
}

fn row(listed: &Listed) -> Vec<String> {
    vec![
        named(listed),
        owner(&listed.holder),
        held_for(&listed.holder),
        remaining(&listed.holder),
    ]
}
