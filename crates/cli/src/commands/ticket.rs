//! `leasehold acquire`, `renew` and `release --ticket`: leases for scripts, which outlive the command
//! that took them. What a script needs to go on is a ticket, on standard output or in a file.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use leasehold::{Lease, Released, Ticket};

use crate::connect::Source;
use crate::exit::{self, Failure};
use crate::leasing::Terms;
use crate::output::{Output, plain};

/// Take a lease for a script, and print the ticket for it
///
/// Nothing renews the lease and nothing ends the script with it: prefer `leasehold run`. With the
/// ticket anybody can release the lease, so treat it like a password.
#[derive(Debug, clap::Args)]
pub(crate) struct Acquire {
    /// What to lock
    resource: String,
    #[command(flatten)]
    terms: Terms,
    /// Write the ticket to this file instead, readable by its owner alone
    #[arg(long, value_name = "FILE")]
    ticket: Option<PathBuf>,
}

/// Renew a script's lease, and replace its ticket
///
/// The lease gets a new token and a greater fence, and the old ticket is void. Ends with 76 if the
/// lease is over.
#[derive(Debug, clap::Args)]
pub(crate) struct Renew {
    /// The file with the ticket, which is replaced; without it, standard input and output
    #[arg(long, value_name = "FILE")]
    ticket: Option<PathBuf>,
}

pub(crate) async fn acquire(
    arguments: &Acquire,
    source: &Source,
    output: Output,
) -> Result<u8, Failure> {
    let config = source.config(|builder| arguments.terms.adjust(builder))?;
    let terms = &arguments.terms;
    let until = terms.until();
    let locker = terms.connect(config, until, output).await?;
    if !locker.is_enabled() {
        let message =
            "locking is disabled (IS_LOCKING_DISABLED=true): there is no lease to give out";
        return Err(Failure::new(exit::CONFIG, message));
    }
    let lease = terms
        .acquire(&locker, &arguments.resource, until, output)
        .await?;
    hand_out(lease, arguments.ticket.as_deref(), output).await
}

pub(crate) async fn renew(
    arguments: &Renew,
    source: &Source,
    output: Output,
) -> Result<u8, Failure> {
    let ticket = read(arguments.ticket.as_deref())?;
    let lease = source.locker().await?.adopt(&ticket).await?;
    hand_out(lease, arguments.ticket.as_deref(), output).await
}

/// Releases the lease of a ticket.
pub(crate) async fn release(path: &Path, source: &Source, output: Output) -> Result<u8, Failure> {
    let is_file = path.as_os_str() != "-";
    let ticket = read(is_file.then_some(path))?;
    let lease = source.locker().await?.adopt(&ticket).await?;
    let resource = plain(ticket.resource());
    match lease.release().await? {
        Released::Released => {
            if is_file {
                // It is of no use any more, and nothing is lost if it stays.
                let _ = fs::remove_file(path);
            }
            output.note(&format!("`{resource}` is released"));
            Ok(exit::OK)
        }
        _ => Err(Failure::new(
            exit::LOST,
            format!("the lease on `{resource}` was over already"),
        )),
    }
}

/// Writes the ticket. If that fails the lease is given back: nobody could.
async fn hand_out(lease: Lease, path: Option<&Path>, output: Output) -> Result<u8, Failure> {
    let document = match serde_json::to_string(&lease.ticket()) {
        Ok(document) => document,
        Err(error) => return Err(Failure::internal("writing the ticket", &error)),
    };
    let written = match path {
        Some(path) => replace(path, &document),
        None => writeln!(io::stdout(), "{document}"),
    };
    if let Err(error) = written {
        let _ = lease.release().await;
        return Err(Failure::internal("writing the ticket", &error));
    }
    let resource = plain(lease.resource().as_str());
    output.note(&format!("`{resource}` is leased for {:?}", lease.ttl()));
    let _ = lease.into_ticket();
    Ok(exit::OK)
}

/// Writes beside the file and moves, so that nobody reads half a ticket.
fn replace(path: &Path, document: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(&beside)?;
    writeln!(file, "{document}")?;
    fs::rename(&beside, path)
}

fn read(path: Option<&Path>) -> Result<Ticket, Failure> {
    const LONGEST: u64 = 64 * 1024;
    let mut text = String::new();
    let outcome = match path {
        Some(path) => {
            fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
        }
        None => io::stdin().take(LONGEST).read_to_string(&mut text),
    };
    let shown = path.map_or_else(|| "standard input".into(), Path::to_string_lossy);
    let unusable = |why: &str| {
        let message = format!("no ticket in {}: {why}", plain(&shown));
        Failure::new(exit::USAGE, message)
    };
    outcome.map_err(|error| unusable(&error.to_string()))?;
    // The parser's message would quote the ticket.
    serde_json::from_str(&text).map_err(|_| unusable("it is not what `leasehold acquire` prints"))
}
