//! `leasehold release`: give a script's lease back, or take a resource from its holder.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;

use leasehold::{Forced, Holder};
use serde_json::json;

use super::{owner, remaining, ticket};
use crate::connect::Source;
use crate::exit::{self, Failure};
use crate::output::{Output, plain};

/// Give a script's lease back, or take a resource from its holder
///
/// With --ticket, releases what `leasehold acquire` took. With --force, takes the resource from its
/// holder: the holder may still be at work, so make sure that it is not, or that what the lock protects
/// refuses its fence. Shows the holder and asks (79 if the answer is not yes), or takes its id, as `status`
/// shows it, with --holder; if another client holds the resource by then, it is left alone.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The ticket that `leasehold acquire` wrote; `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["resource", "force", "holder", "yes"])]
    ticket: Option<PathBuf>,
    /// The name of the resource
    #[arg(required_unless_present = "ticket")]
    resource: Option<String>,
    /// Required without a ticket: there is no gentle way to release what another holds
    #[arg(long, required_unless_present = "ticket")]
    force: bool,
    /// The holder id that `leasehold status` showed; without it, you are asked
    #[arg(long, value_name = "ID")]
    holder: Option<String>,
    /// Take it from its present holder, without asking
    #[arg(long, short, conflicts_with = "holder")]
    yes: bool,
}

pub(crate) async fn main(
    arguments: &Arguments,
    source: &Source,
    output: Output,
) -> Result<u8, Failure> {
    if let Some(path) = &arguments.ticket {
        return ticket::release(path, source, output).await;
    }
    let resource = arguments.resource.as_deref().unwrap_or_default();
    let locker = source.locker().await?;
    let id = match &arguments.holder {
        Some(id) => id.clone(),
        None => match locker.inspect(resource).await? {
            Some(holder) => confirmed(arguments, &holder)?,
            None => return Ok(free(resource, output)),
        },
    };
    match locker.force_release(resource, &id).await? {
        Forced::Taken { from, fence } => {
            if output.json {
                let document = json!({
                    "resource": resource, "released": true, "from": from, "fence": fence.as_i64(),
                });
                output.document(&document);
            } else {
                output.line(&format!(
                    "`{}` was taken from {}; later holders have a fence above {fence}",
                    plain(resource),
                    plain(&from),
                ));
            }
            Ok(exit::OK)
        }
        Forced::Free => Ok(free(resource, output)),
        Forced::HeldByAnother { by } => Err(Failure::new(
            exit::BUSY,
            format!(
                "`{}` is held by {} by now, not by holder {}; it was left alone",
                plain(resource),
                plain(&by),
                plain(&id),
            ),
        )),
        _ => Err(Failure::new(exit::INTERNAL, "an unknown outcome")),
    }
}

fn free(resource: &str, output: Output) -> u8 {
    if output.json {
        output.document(&json!({ "resource": resource, "released": false, "held": false }));
    } else {
        output.note(&format!("`{}` is free already", plain(resource)));
    }
    exit::OK
}

/// The holder's id, once a person has seen who it is and agreed.
fn confirmed(arguments: &Arguments, holder: &Holder) -> Result<String, Failure> {
    let id = holder.id.clone().unwrap_or_default();
    if arguments.yes {
        return Ok(id);
    }
    let who = format!(
        "`{}` is held by {} (remaining: {}, holder id {id})",
        plain(arguments.resource.as_deref().unwrap_or_default()),
        owner(holder),
        remaining(holder),
    );
    if !io::stdin().is_terminal() {
        let message = format!("{who}; nobody is there to ask: give --holder {id}, or --yes");
        return Err(Failure::new(exit::USAGE, message));
    }
    let _ = write!(io::stderr(), "{who}.\nTake it from them? [y/N] ");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(id);
    }
    let message = "the lock was not taken: the answer was not yes";
    Err(Failure::new(exit::DECLINED, message))
}
