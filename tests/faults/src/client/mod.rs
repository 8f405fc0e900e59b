//! A process that leases, holds, writes and gives back, and records all of it.
//!
//! It runs until it is told to stop on its standard input. Then each of its tasks finishes what it is doing and leases
//! every resource once more, which proves that all of them can still be had.

mod orders;
mod plain;
mod sdk;
mod worker;

use std::{
    io::BufRead,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    history::{Recorder, note_starvation},
    random::Random,
};
use orders::Orders;

/// Which protocol a client follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// The SDK with `LOCK_SAFETY=strict`.
    Strict,
    /// The SDK with `LOCK_SAFETY=relaxed`.
    Relaxed,
    /// The SDK over five independent masters.
    Quorum,
    /// Strict mode that takes over although other replicas may have been ahead of the new master.
    #[cfg(feature = "broken")]
    AnyHistory,
    /// Strict mode that takes over although replicas may have forgotten what they confirmed.
    #[cfg(feature = "broken")]
    AnyUptime,
    /// `SET NX PX` on the master that the first Sentinel names, compare-and-delete, and `INCR` as the fence.
    Plain,
}

/// What a client is told by the campaign, on its command line, as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Assignment {
    /// Its name in the history.
    pub process: String,
    /// Which protocol it follows.
    pub protocol: Protocol,
    /// What it draws its decisions from.
    pub seed: u64,
    /// How many tasks it runs.
    pub tasks: usize,
    /// The resources that all clients compete for.
    pub resources: Vec<String>,
    /// The usual lease length, in milliseconds.
    pub ttl_ms: u64,
    /// Where the register listens, as `host:port`.
    pub register: String,
    /// Where the Sentinels listen, as `host:port`, for the plain protocol.
    pub sentinels: Vec<String>,
    /// The variables that the SDK is configured with.
    pub variables: Vec<(String, String)>,
    /// The file for its part of the history.
    pub history: PathBuf,
}

/// What the tasks of a client share.
struct Shared {
    assignment: Assignment,
    recorder: Recorder,
    orders: Orders,
    operations: AtomicU64,
    is_stopping: AtomicBool,
}

impl Shared {
    fn next_operation(&self) -> u64 {
        self.operations.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::SeqCst)
    }

    fn ttl(&self) -> Duration {
        Duration::from_millis(self.assignment.ttl_ms)
    }
}

/// Runs a client to its end.
///
/// # Errors
///
/// When it cannot begin: no history, no runtime, a configuration that the SDK refuses.
pub fn run(assignment: Assignment) -> Result<(), Box<dyn std::error::Error>> {
    let recorder = Recorder::open(&assignment.history, &assignment.process)?;
    let shared = Arc::new(Shared {
        orders: Orders::new(&assignment.register),
        recorder,
        operations: AtomicU64::new(0),
        is_stopping: AtomicBool::new(false),
        assignment,
    });
    let stopping = shared.clone();
    thread::spawn(move || {
        // The end of the input is the end of the campaign, too.
        let _ = std::io::stdin().lock().lines().next();
        stopping.is_stopping.store(true, Ordering::SeqCst);
    });
    let starving = shared.clone();
    // Beside the runtime, so that one which blocks itself has no excuse.
    thread::spawn(move || note_starvation(&starving.recorder, &AtomicU64::new(0)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut random = Random::seeded(shared.assignment.seed);
        match shared.assignment.protocol {
            Protocol::Plain => plain::run(&shared, &mut random).await,
            _ => sdk::run(&shared, &mut random).await?,
        }
        Ok(())
    })
}
