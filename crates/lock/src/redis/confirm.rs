//! Confirmation: a write counts once `WAIT` says that a majority of the data nodes has it.
//!
//! `WAIT` holds up every command behind it on its connection, and it speaks only for writes made
//! before it on that same connection. So confirmed scripts have a connection of their own, and go
//! over it many at once: all that came in while the last ones were being confirmed, then one `WAIT`
//! for all of them.

use std::time::Duration;

use redis::Value;
use tokio::sync::{mpsc, oneshot};

use super::batch::Familiarity;
use super::classify::{self, Failure};
use super::connection::Connection;
use super::invocation::Invocation;
use super::reply;
use super::shipment::{Manner, Shipment};
use crate::unavailable::{Cause, Unavailable};

/// The most scripts that are confirmed by one `WAIT`.
const MOST: usize = 256;

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
    call: Invocation,
    data_nodes: usize,
    done: oneshot::Sender<Result<(Value, Confirmed), Failure>>,
}

impl Confirmer {
    /// Takes over a connection that carries nothing else. It ends with that connection.
    pub(crate) fn new(connection: Connection, wait: Duration) -> Self {
        let (jobs, queue) = mpsc::channel(4 * MOST);
        tokio::spawn(confirm_jobs(connection.clone(), queue, wait));
        Self { connection, jobs }
    }

    /// Runs one script and reports how many of `data_nodes` have its write.
    pub(crate) async fn call(
        &self,
        call: Invocation,
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

async fn confirm_jobs(connection: Connection, mut queue: mpsc::Receiver<Job>, wait: Duration) {
    let mut jobs = Vec::with_capacity(MOST);
    let mut server = Familiarity::default();
    while !connection.ending().has_ended() {
        let received = tokio::select! {
            received = queue.recv_many(&mut jobs, MOST) => received,
            _ = connection.ending().ended() => break,
        };
        if received == 0 {
            break;
        }
        confirm_all(&connection, std::mem::take(&mut jobs), wait, &mut server).await;
    }
}

async fn confirm_all(
    connection: &Connection,
    mut jobs: Vec<Job>,
    wait: Duration,
    server: &mut Familiarity,
) {
    // One is no batch.
    let first = if jobs.len() == 1 {
        Manner::ByDigest
    } else {
        Manner::Together
    };
    let mut next = Some(first);
    while let Some(manner) = next {
        // Whoever gave up before its script was sent has nothing to confirm, and may have had the
        // lock taken back already: it must not come after.
        jobs.retain(|job| !job.done.is_closed());
        let Some(data_nodes) = jobs.iter().map(|job| job.data_nodes).max() else {
            return;
        };
        let mut shipment = Shipment::new(jobs.iter().map(|job| &job.call), manner, server);
        match send(connection, &mut shipment, data_nodes, wait).await {
            Err(failure) => return fail(jobs, &failure),
            Ok((replies, confirmed)) => {
                let answers = shipment.answers(&replies, server);
                next = manner.after(&answers);
                jobs = settle(connection, jobs, answers, confirmed, next.is_some());
            }
        }
    }
}

async fn send(
    connection: &Connection,
    shipment: &mut Shipment,
    data_nodes: usize,
    wait: Duration,
) -> Result<(Vec<Value>, Confirmed), Failure> {
    let needed = majority(data_nodes);
    let commands = &mut shipment.commands;
    commands
        .cmd("WAIT")
        .arg(needed - 1)
        .arg(wait.as_millis().max(1) as u64);
    // After WAIT, so that a replica which came in time to confirm is counted.
    commands.cmd("INFO").arg("stats");
    // The reply to WAIT may take all of its time, and the network as much again.
    let mut replies = connection.run_all(commands, 2 * wait).await?;
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

/// Answers every job, except those that are to be sent again in the next manner: their batch left
/// them undone, or the server did not know their script.
fn settle(
    connection: &Connection,
    jobs: Vec<Job>,
    answers: Vec<Option<Value>>,
    confirmed: Confirmed,
    may_repeat: bool,
) -> Vec<Job> {
    let mut again = Vec::new();
    for (job, answer) in jobs.into_iter().zip(answers) {
        match answer {
            None => again.push(job),
            Some(Value::ServerError(error)) if may_repeat && classify::is_no_script(&error) => {
                again.push(job);
            }
            Some(reply) => {
                let reply = connection.checked(reply).map(|reply| (reply, confirmed));
                let _ = job.done.send(reply);
            }
        }
    }
    again
}

fn fail(jobs: Vec<Job>, failure: &Failure) {
    for job in jobs {
        let _ = job.done.send(Err(failure.clone()));
    }
}
