//! The processes that a command started, wherever they went: into another process group, or into
//! the background. The guard inherits those whose parent died, so it finds all of them below itself.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, wait};

/// How often to look whether what was killed is gone.
pub(crate) const SWEEP: Duration = Duration::from_millis(5);

/// Live processes below this one.
pub(crate) fn descendants() -> Vec<Pid> {
    let own_pid = getpid().as_raw_nonzero().get();
    let below = match children(own_pid) {
        Some(_) => walk(own_pid, |pid| children(pid).unwrap_or_default()),
        // A kernel without `CONFIG_PROC_CHILDREN` tells each process's parent only.
        None => {
            let children = all_children();
            walk(own_pid, |pid| {
                children.get(&pid).cloned().unwrap_or_default()
            })
        }
    };
    below.into_iter().filter_map(Pid::from_raw).collect()
}

/// Sends a signal to each of these processes.
pub(crate) fn signal(processes: &[Pid], signal: Signal) {
    for &process in processes {
        let _ = kill_process(process, signal);
    }
}

/// Collects every child that has ended, and returns how `wanted` did, if it is among them.
pub(crate) fn collect(wanted: Pid) -> Option<WaitStatus> {
    let mut found = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == wanted {
            found = Some(status);
        }
    }
    found
}

fn walk(from: i32, children: impl Fn(i32) -> Vec<i32>) -> Vec<i32> {
    let mut found = Vec::new();
    let mut unseen = children(from);
    while let Some(pid) = unseen.pop() {
        unseen.extend(children(pid));
        if parent_of(pid).is_some() {
            found.push(pid);
        }
    }
    found
}

/// The children of all threads of a process; `None` if the kernel does not tell.
fn children(pid: i32) -> Option<Vec<i32>> {
    let mut found = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let children = fs::read_to_string(thread.path().join("children")).ok()?;
        found.extend(children.split_whitespace().flat_map(str::parse::<i32>));
    }
    Some(found)
}

fn all_children() -> HashMap<i32, Vec<i32>> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    for pid in names.filter_map(|name| name.to_str()?.parse::<i32>().ok()) {
        if let Some(parent) = parent_of(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    children
}

/// The parent of a live process; `None` for one that is dead and only waits to be collected.
fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name stands in parentheses and may hold anything, parentheses too.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    match fields.next()? {
        "Z" | "X" => None,
        _ => fields.next()?.parse().ok(),
    }
}
