//! `leasehold status`: who holds a resource.

use super::{document, owner, remaining};
use crate::connect::Source;
use crate::exit::{self, Failure};
use crate::output::{Output, Tone, plain};

/// Tell who holds a resource
///
/// Ends with 0 if it is held and with 1 if it is free, so that a script can ask with --quiet.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The name of the resource
    resource: String,
}

const FREE: u8 = 1;

pub(crate) async fn main(
    arguments: &Arguments,
    source: &Source,
    output: Output,
) -> Result<u8, Failure> {
    let resource = arguments.resource.as_str();
    let holder = source.locker().await?.inspect(resource).await?;
    let code = if holder.is_some() { exit::OK } else { FREE };
    if output.json {
        output.document(&document(resource, holder.as_ref()));
        return Ok(code);
    }
    if output.quiet {
        return Ok(code);
    }
    let Some(holder) = holder else {
        let free = output.coloured(Tone::Good, "free");
        output.line(&format!("{}: {free}", plain(resource)));
        return Ok(code);
    };
    let held = output.coloured(Tone::Doubtful, "held");
    output.line(&format!("{}: {held}", plain(resource)));
    let row = |name: &str, value: &str| output.line(&format!("  {name:<10} {value}"));
    row("holder", &owner(&holder));
    row("remaining", &remaining(&holder));
    if let Some(fence) = holder.fence {
        row("fence", &fence.to_string());
    }
    if let Some(id) = &holder.id {
        row("holder id", id);
    }
    Ok(code)
}
