//! What was seen, and how it is laid out.

use std::collections::HashMap;
use std::time::Duration;

use leasehold::Listed;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::commands::list::{FoundLocks, described, named};
use crate::commands::{held_for, milliseconds, owner, remaining, waiters};
use crate::duration::shown;
use crate::gate::{self, Looked};
use crate::output::{Output, Tone, plain, table};

const HEADINGS: [&str; 5] = ["RESOURCE", "HOLDER", "HELD FOR", "REMAINING", "WAITERS"];

/// One holding: resource, slot, and who.
type Key = (String, Option<usize>, Option<String>);

/// What was seen last, and since when each holding has been seen.
#[derive(Default)]
pub(super) struct View {
    locks: Vec<Listed>,
    is_cut: bool,
    first_seen: HashMap<Key, Instant>,
    /// Why nothing could be seen last time.
    pub(super) trouble: Option<String>,
    pub(super) gate: Looked,
}

impl View {
    pub(super) fn update(&mut self, found: FoundLocks) {
        let now = Instant::now();
        let seen = found.locks.iter().map(|listed| {
            let key = key(listed);
            let since = self.first_seen.get(&key).copied().unwrap_or(now);
            (key, since)
        });
        self.first_seen = seen.collect();
        self.locks = found.locks;
        self.is_cut = found.is_cut;
        self.trouble = None;
    }

    pub(super) fn document(&self) -> Value {
        let locks: Vec<Value> = self
            .locks
            .iter()
            .map(|listed| {
                let mut document = described(listed);
                let seen_for = self.first_seen.get(&key(listed)).map(Instant::elapsed);
                document["seen_for_ms"] = seen_for.map(milliseconds).into();
                document
            })
            .collect();
        json!({ "locks": locks, "truncated": self.is_cut, "gate": gate::document(&self.gate) })
    }

    pub(super) fn table(&self, output: Output) -> String {
        let rows: Vec<Vec<String>> = self
            .locks
            .iter()
            .map(|listed| self.row(listed, output))
            .collect();
        let mut text = table(&HEADINGS, &rows);
        if self.is_cut {
            text.push_str("\n… and more: raise --limit");
        }
        text
    }

    /// The lines of a whole screen.
    pub(super) fn drawing(&self, pattern: &str, interval: Duration, output: Output) -> Vec<String> {
        let held = format!(
            "{}{} held",
            self.locks.len(),
            if self.is_cut { "+" } else { "" }
        );
        let mut lines = vec![format!(
            "leasehold watch {}: {held}, every {}",
            plain(pattern),
            shown(interval),
        )];
        lines.push(self.trouble.as_ref().map_or_else(String::new, |trouble| {
            output.coloured(Tone::Bad, &plain(trouble))
        }));
        let remark = gate::remark(&self.gate);
        lines.extend(remark.map(|remark| output.coloured(Tone::Doubtful, &remark)));
        lines.extend(self.table(output).lines().map(str::to_owned));
        lines
    }

    fn row(&self, listed: &Listed, output: Output) -> Vec<String> {
        let holder = &listed.holder;
        let held_for = if holder.held_for.is_some() {
            held_for(holder)
        } else {
            let since = self.first_seen.get(&key(listed));
            since.map_or_else(String::new, |since| format!(">{}", shown(since.elapsed())))
        };
        let mut remaining = remaining(holder);
        if holder.remaining.is_none() {
            remaining = output.coloured(Tone::Bad, &remaining);
        }
        let mut waiters = waiters(holder);
        if holder.waiters.is_some_and(|count| count > 0) {
            waiters = output.coloured(Tone::Doubtful, &waiters);
        }
        vec![named(listed), owner(holder), held_for, remaining, waiters]
    }
}

fn key(listed: &Listed) -> Key {
    (listed.name.clone(), listed.slot, listed.holder.id.clone())
}
