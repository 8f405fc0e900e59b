//! `leasehold run`: a command that runs only while its lease is held.

pub(crate) mod deadline;
pub(crate) mod exec;
pub(crate) mod guard;
mod holder;
pub(crate) mod signals;
mod tree;
mod wire;

use std::ffi::OsString;
use std::time::Duration;

use leasehold::Lease;
use leasehold::config::parse_duration;

use self::deadline::Margins;
use self::holder::{Ending, Task};
use self::signals::Signals;
use self::wire::Status;
use crate::connect::Source;
use crate::exit::{self, Failure};
use crate::leasing::Terms;
use crate::output::{Output, complain, plain};

/// Run a command while holding a lease
///
/// The command is asked to end (SIGTERM) and then killed before its lease can end, so that nobody
/// else is granted the resource beside it. It finds LEASEHOLD_RESOURCE, LEASEHOLD_FENCE and
/// LEASEHOLD_TOKEN in its environment.
///
/// Ends with the command's own exit code, 128+n if signal n ended it, 75 if the resource is held, 76
/// if the lease was lost, 69 if Redis cannot be used, 77 if it refuses the credentials, 78 for a bad
/// configuration, 124 after --max-hold, 126 or 127 if the command cannot be executed or found.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to lock
    resource: String,
    #[command(flatten)]
    terms: Terms,
    /// End the command after this time, with code 124
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    max_hold: Option<Duration>,
    /// The time between SIGTERM and SIGKILL; at most a quarter of the lease. Default: 5s
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    kill_after: Option<Duration>,
    /// Refuse to run with locking disabled
    #[arg(long)]
    require_lock: bool,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

pub(crate) async fn main(
    arguments: &Arguments,
    source: &Source,
    output: Output,
) -> Result<u8, Failure> {
    let mut signals =
        Signals::catch().map_err(|error| Failure::internal("catching signals", &error))?;
    let config = source.config(|builder| arguments.terms.adjust(builder))?;
    let ttl = config.lock.ttl;
    let acquiring = async {
        let terms = &arguments.terms;
        let until = terms.until();
        let locker = terms.connect(config, until, output).await?;
        if !locker.is_enabled() {
            return Ok((locker, None));
        }
        let resource = &arguments.resource;
        let lease = terms.acquire(&locker, resource, until, output).await?;
        Ok::<_, Failure>((locker, Some(lease)))
    };
    let (locker, lease) = tokio::select! {
        acquired = acquiring => acquired?,
        number = signals.next() => return Ok(by_signal(number)),
    };
    if lease.is_none() {
        without_lock(arguments)?;
    }
    let task = Task {
        command: &arguments.command,
        environment: environment(&arguments.resource, lease.as_ref()),
        margins: Margins::new(ttl, arguments.kill_after),
        max_hold: arguments.max_hold,
    };
    let ending = holder::supervise(&task, lease.as_ref(), &mut signals)
        .await
        .map_err(|error| Failure::internal("running the command", &error));
    give_back(lease, &ending).await;
    drop(locker);
    conclude(arguments, ending?)
}

fn without_lock(arguments: &Arguments) -> Result<(), Failure> {
    let message = "locking is disabled (IS_LOCKING_DISABLED=true)";
    if arguments.require_lock {
        return Err(Failure::new(
            exit::CONFIG,
            format!("{message} and --require-lock was given"),
        ));
    }
    complain(&format!("{message}: the command runs WITHOUT a lock"));
    Ok(())
}

fn environment(resource: &str, lease: Option<&Lease>) -> Vec<(&'static str, String)> {
    let mut environment = vec![("LEASEHOLD_RESOURCE", resource.to_owned())];
    if let Some(lease) = lease {
        environment.push(("LEASEHOLD_FENCE", lease.fence().to_string()));
        environment.push(("LEASEHOLD_TOKEN", lease.token().to_owned()));
    }
    environment
}

/// Releases what is still held. The command's own end counts, so a failure here is only told.
async fn give_back(lease: Option<Lease>, ending: &Result<Ending, Failure>) {
    let Some(lease) = lease else {
        return;
    };
    if matches!(ending, Ok(Ending::Lost(_))) {
        return;
    }
    if let Err(error) = lease.release().await {
        complain(&format!("the release was not confirmed: {error:?}"));
    }
}

fn conclude(arguments: &Arguments, ending: Ending) -> Result<u8, Failure> {
    let resource = plain(&arguments.resource);
    match ending {
        Ending::ByItself(Status::Exited(code)) => Ok(code),
        Ending::ByItself(Status::Killed(signal)) => Ok(by_signal(signal)),
        Ending::Lost(reason) => Err(Failure::new(
            exit::LOST,
            format!("the lease on `{resource}` was lost, so the command was ended: {reason}"),
        )),
        Ending::MaxHold => Err(Failure::new(
            exit::MAX_HOLD,
            format!("the command ran for longer than --max-hold and was ended (`{resource}`)"),
        )),
        Ending::NotStarted(why) => Err(Failure::new(
            exit::INTERNAL,
            format!("the command was not started: {}", plain(&why)),
        )),
    }
}

pub(crate) fn by_signal(number: i32) -> u8 {
    u8::try_from(number).map_or(exit::INTERNAL, |number| exit::SIGNAL.saturating_add(number))
}
