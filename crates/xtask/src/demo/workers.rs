//! The workers: processes of their own, and what they tell.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use leasehold_testkit::ChildProcess;

use super::history::Record;

/// One running worker.
pub(crate) struct Worker {
    pub(crate) process: ChildProcess,
    records: Arc<Mutex<Vec<Record>>>,
    reader: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts worker `number` in `directory`, where its `.env` is.
    pub(crate) fn start(
        program: &Path,
        number: usize,
        directory: &Path,
        journal: &str,
    ) -> Result<Self, Box<dyn Error>> {
        let mut command = ChildProcess::command(program);
        // Nothing of our own environment may change where it looks for Redis.
        let foreign = std::env::vars_os().map(|(name, _)| name).filter(|name| {
            let name = name.to_string_lossy();
            let prefixes = ["REDIS_", "LOCK_", "REDLOCK_", "IS_LOCKING_"];
            prefixes.iter().any(|prefix| name.starts_with(prefix))
        });
        for name in foreign {
            command.env_remove(name);
        }
        command
            .current_dir(directory)
            .env("LOCK_OWNER", format!("worker-{number}"))
            .env("JOURNAL", journal)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(
                directory.join(format!("worker-{number}.log")),
            )?);
        let process = ChildProcess::spawn(command)?;
        let output = process.take_stdout().ok_or("a worker has no output")?;
        let records = Arc::new(Mutex::new(Vec::new()));
        let shared = records.clone();
        let reader = thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(record) = Record::read(&line) {
                    lock(&shared).push(record);
                }
            }
        });
        Ok(Self {
            process,
            records,
            reader: Some(reader),
        })
    }

    /// Whether its last word on the matter was that it holds the lease.
    pub(crate) fn is_holding(&self) -> bool {
        let records = lock(&self.records);
        let last = records
            .iter()
            .rfind(|record| matches!(record, Record::Granted { .. } | Record::Over { .. }));
        matches!(last, Some(Record::Granted { .. }))
    }

    /// Everything it has told so far.
    pub(crate) fn records(&self) -> Vec<Record> {
        lock(&self.records).clone()
    }

    /// Asks it to stop and waits for its last words. `Some` is a complaint about how it ended.
    pub(crate) fn stop(&mut self) -> Option<String> {
        // One that has ended by itself is found out by its status.
        let _ = self.process.terminate();
        let complaint = match self.process.wait(Duration::from_secs(15)) {
            Ok(status) if status.success() => None,
            Ok(status) => Some(format!("ended with {status}")),
            Err(error) => Some(error.to_string()),
        };
        self.process.kill();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        complaint
    }
}

fn lock(records: &Mutex<Vec<Record>>) -> MutexGuard<'_, Vec<Record>> {
    records.lock().unwrap_or_else(PoisonError::into_inner)
}
