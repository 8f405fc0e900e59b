//! `leasehold list`: which resources are held.

use std::collections::BTreeMap;

use leasehold::Listed;
use serde_json::json;

use super::{document, owner, remaining};
use crate::connect::Source;
use crate::exit::{self, Failure};
use crate::output::{Output, plain, table};

/// List the resources that are held
///
/// Walks through the keys in small steps (SCAN), so it holds nobody up; what is taken or released
/// meanwhile may be missing.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A Redis glob, such as 'orders:*'
    #[arg(default_value = "*")]
    pattern: String,
    /// Also keys that may be a plain client's lock, or any other string
    #[arg(long)]
    all: bool,
    /// Stop after so many
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    limit: usize,
}

pub(crate) async fn main(
    arguments: &Arguments,
    source: &Source,
    output: Output,
) -> Result<u8, Failure> {
    let locker = source.locker().await?;
    let mut found: BTreeMap<String, Listed> = BTreeMap::new();
    let mut start = Some(0);
    while let Some(at) = start.filter(|_| found.len() <= arguments.limit) {
        let page = locker.list(&arguments.pattern, at).await?;
        let wanted = page.found.into_iter();
        let wanted = wanted.filter(|listed| listed.is_lock || arguments.all);
        found.extend(wanted.map(|listed| (listed.name.clone(), listed)));
        start = page.next;
    }
    let is_cut = found.len() > arguments.limit;
    let shown: Vec<&Listed> = found.values().take(arguments.limit).collect();
    if output.json {
        let locks: Vec<_> = shown
            .iter()
            .map(|listed| document(&listed.name, Some(&listed.holder)))
            .collect();
        output.document(&json!({ "locks": locks, "truncated": is_cut }));
        return Ok(exit::OK);
    }
    if shown.is_empty() {
        output.note("nothing is held");
        return Ok(exit::OK);
    }
    let rows: Vec<Vec<String>> = shown.iter().map(|listed| row(listed)).collect();
    output.line(&table(&["RESOURCE", "HOLDER", "REMAINING", "FENCE"], &rows));
    if is_cut {
        output.note("there are more: raise --limit");
    }
    Ok(exit::OK)
}

fn row(listed: &Listed) -> Vec<String> {
    let fence = listed.holder.fence;
    vec![
        plain(&listed.name),
        owner(&listed.holder),
        remaining(&listed.holder),
        fence.map_or_else(|| "-".to_owned(), |fence| fence.to_string()),
    ]
}
