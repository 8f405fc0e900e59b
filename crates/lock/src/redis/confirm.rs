//! Confirmation: a write counts once `WAIT` says that a majority of the data nodes has it.
//!
//! `WAIT` holds up every command behind it on its connection, and it speaks only for writes made
//! before it on that same connection. So confirmed scripts have a connection of their own, and go
//! over it in batches: all scripts that came in while the last batch was being confirmed, then one
//! `WAIT` for all of them.

use std::time::Duration;

use redis::Value;
use tokio::sync::{mpsc, oneshot};

use super::classify::{self, Failure};
use super::connection::Connection;
use super::reply;
use super::script::Call;
use crate::unavailable::{Cause, Unavailable};

const BATCH: usize = 256;

/// How many data nodes have a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Confirmed {
    pub(crate) acknowledged: usize,
    pub(crate) needed: usize,
    pub(crate) data_nodes: usize,
    /// Replicas that this life of the master has sent everything to, counted after the write was
    /// confirmed; `None` where nothing is confirmed.
    pub(crate) full_syncs: Option<i64>,
}

impl Confirmed {
    pub(crate) fn not_asked() -> Self {
        Self {
            acknowledged: 1,
            needed: 1,
            data_nodes: 1,
            full_syncs: None,
        }
    }

    pub(crate) fn by_majority(self) -> bool {
        self.acknowledged >= self.needed
    }

    /// The same write with none of its confirmations counted.
    pub(crate) fn by_nobody_else(self) -> Self {
        Self {
            acknowledged: 1,
            ..self
        }
    }

    /// Whether those who confirmed have followed this incarnation, and nobody else, since the gate
    /// was claimed: no replica has come since then that brought a history of its own.
    pub(crate) fn by_followers_since(self, syncs_at_claim: i64) -> bool {
        self.full_syncs.is_none_or(|now| now == syncs_at_claim)
    }
}

/// More than half of the data nodes, the master included.
pub(crate) fn majority(data_nodes: usize) -> usize {
    data_nodes / 2 + 1
}

/// Sends scripts in batches and confirms each batch.
pub(crate) struct Confirmer {
    connection: Connection,
    jobs: mpsc::Sender<Job>,
}

struct Job {
    call: Call,
    data_nodes: usize,
    done: oneshot::Sender<Result<(Value, Confirmed), Failure>>,
}

impl Confirmer {
    /// Takes over a connection that carries nothing else. It ends with that connection.
    pub(crate) fn new(connection: Connection, wait: Duration) -> Self {
        let (jobs, queue) = mpsc::channel(4 * BATCH);
        tokio::spawn(confirm_batches(connection.clone(), queue, wait));
        Self { connection, jobs }
    }

    /// Runs one script and reports how many of `data_nodes` have its write.
    pub(crate) async fn call(
        &self,
        call: Call,
        data_nodes: usize,
    ) -> Result<(Value, Confirmed), Failure> {
        let node = self.connection.node();
        let ending = self.connection.ending();
        let ended = |cause| Unavailable::on(node, cause);
        let (done, outcome) = oneshot::channel();
        let queued = tokio::select! {
            biased;
            queued = self.jobs.send(Job { call, data_nodes, done }) => queued,
            cause = ending.ended() => return Err(Failure::not_applied(ended(cause))),
        };
        if queued.is_err() {
            return Err(Failure::not_applied(ended(ending.cause())));
        }
        match outcome.await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::unknown(ended(ending.cause()))),
        }
    }
}

async fn confirm_batches(connection: Connection, mut queue: mpsc::Receiver<Job>, wait: Duration) {
    let mut batch = Vec::with_capacity(BATCH);
    while !connection.ending().has_ended() {
        let received = tokio::select! {
            received = queue.recv_many(&mut batch, BATCH) => received,
            _ = connection.ending().ended() => break,
        };
        if received == 0 {
            break;
        }
        // Whoever gave up before its script was sent has nothing to confirm.
        batch.retain(|job: &Job| !job.done.is_closed());
        confirm_batch(&connection, std::mem::take(&mut batch), wait).await;
    }
}

async fn confirm_batch(connection: &Connection, batch: Vec<Job>, wait: Duration) {
    let Some(data_nodes) = batch.iter().map(|job| job.data_nodes).max() else {
        return;
    };
    let mut unknown_scripts =
        match send(connection, &batch, Call::by_digest, data_nodes, wait).await {
            Err(failure) => return fail(batch, &failure),
            Ok((replies, confirmed)) => settle(connection, batch, replies, confirmed, true),
        };
    // Whoever gave up meanwhile may have had the lock taken back already: it must not come after.
    unknown_scripts.retain(|job| !job.done.is_closed());
    if unknown_scripts.is_empty() {
        return;
    }
    match send(connection, &unknown_scripts, Call::whole, data_nodes, wait).await {
        Err(failure) => fail(unknown_scripts, &failure),
        Ok((replies, confirmed)) => {
            settle(connection, unknown_scripts, replies, confirmed, false);
        }
    }
}

type Replies = Vec<Value>;

async fn send(
    connection: &Connection,
    batch: &[Job],
    command: fn(&Call) -> redis::Cmd,
    data_nodes: usize,
    wait: Duration,
) -> Result<(Replies, Confirmed), Failure> {
    let needed = majority(data_nodes);
    let mut pipeline = redis::pipe();
    for job in batch {
        pipeline.add_command(command(&job.call));
    }
    pipeline
        .cmd("WAIT")
        .arg(needed - 1)
        .arg(wait.as_millis().max(1) as u64);
    // After WAIT, so that a replica which came in time to confirm is counted.
    pipeline.cmd("INFO").arg("stats");
    // The reply to WAIT may take all of its time, and the network as much again.
    let mut replies = connection.run_all(&pipeline, 2 * wait).await?;
    let full_syncs = full_syncs(connection, replies.pop().unwrap_or(Value::Nil))?;
    let waited = connection.checked(replies.pop().unwrap_or(Value::Nil))?;
    let replicas = reply::integer(&waited).map_err(|unexpected| {
        let cause = Cause::Protocol {
            detail: unexpected.detail,
        };
        Failure::unknown(Unavailable::on(connection.node(), cause))
    })?;
    let acknowledged = 1 + usize::try_from(replicas).unwrap_or_default();
    Ok((
        replies,
        Confirmed {
            acknowledged,
            needed,
            data_nodes,
            full_syncs: Some(full_syncs),
        },
    ))
}

fn full_syncs(connection: &Connection, answer: Value) -> Result<i64, Failure> {
    let answer = connection.checked(answer)?;
    let stats = reply::text(&answer).unwrap_or_default();
    let count = reply::info_field(&stats, "sync_full").and_then(|count| count.parse().ok());
    count.ok_or_else(|| {
        let detail = "INFO has no sync_full".to_owned();
        Failure::unknown(Unavailable::on(
            connection.node(),
            Cause::Protocol { detail },
        ))
    })
}

/// Answers every job, except those whose script the server did not know when `retry` is set.
fn settle(
    connection: &Connection,
    batch: Vec<Job>,
    replies: Replies,
    confirmed: Confirmed,
    retry: bool,
) -> Vec<Job> {
    let mut unknown_scripts = Vec::new();
    for (job, reply) in batch.into_iter().zip(replies) {
        match &reply {
            Value::ServerError(error) if retry && classify::is_no_script(error) => {
                unknown_scripts.push(job);
            }
            _ => {
                let _ = job
                    .done
                    .send(connection.checked(reply).map(|reply| (reply, confirmed)));
            }
        }
    }
    unknown_scripts
}

fn fail(batch: Vec<Job>, failure: &Failure) {
    for job in batch {
        let _ = job.done.send(Err(failure.clone()));
    }
}
