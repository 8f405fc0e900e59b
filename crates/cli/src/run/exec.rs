//! The last step before the command: tie its life to the guard's, and turn into it.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use crate::exit;
use crate::output::{complain, plain};

/// `leasehold __exec GUARD COMMAND…`: returns only if the command cannot be executed.
pub(crate) fn main(mut arguments: impl Iterator<Item = OsString>) -> u8 {
    let guard = arguments.next();
    let Some(program) = arguments.next() else {
        return exit::INTERNAL;
    };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        complain(&format!("the command cannot be tied to its guard: {error}"));
        return exit::INTERNAL;
    }
    // The guard may have died before the request was made.
    let parent = getppid().map_or(0, |parent| parent.as_raw_nonzero().get());
    if guard.is_none_or(|guard| guard != parent.to_string().as_str()) {
        return exit::INTERNAL;
    }
    let error = Command::new(&program).args(arguments).exec();
    complain(&format!(
        "cannot execute `{}`: {error}",
        plain(&program.to_string_lossy())
    ));
    code(&error)
}

/// What a shell would answer.
fn code(error: &io::Error) -> u8 {
    match error.kind() {
        ErrorKind::NotFound => exit::NOT_FOUND,
        _ => exit::NOT_EXECUTABLE,
    }
}
