//! Confirmation: a write counts once `WAIT` says that a majority of the data nodes has it, and the look
//! behind it finds the node, its history and its gate as the write needs them.
//!
//! `WAIT` holds up every command behind it on its connection, and it speaks only for writes made
//! before it on that same connection. So what is confirmed has a connection of its own, and goes
//! over it many at once: all that came in while the last ones were being confirmed, then one `WAIT`
//! and one look for all of them.

use std::sync::Arc;
use std::time::Duration;

use redis::{Pipeline, Value};
use tokio::sync::{mpsc, oneshot};

use super::classify::{self, Failure};
use super::connection::Connection;
use super::grant::{self, Grant};
use super::look::{Look, looking};
use super::reply;
use super::script::{Call, Manner};
use crate::unavailable::{Cause, Unavailable};

/// The most operations that are confirmed by one `WAIT`.
const MOST: usize = 256;

/// How many data nodes have a write, and what was seen once they had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Confirmed {
    pub(crate) acknowledged: usize,
    pub(crate) needed: usize,
    pub(crate) data_nodes: usize,
    /// `None` where nothing is confirmed.
    pub(crate) look: Option<Look>,
}

impl Confirmed {
    pub(crate) fn not_asked() -> Self {
        Self {
            acknowledged: 1,
            needed: 1,
            data_nodes: 1,
            look: None,
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
}

/// More than half of the data nodes, the master included.
pub(crate) fn majority(data_nodes: usize) -> usize {
    data_nodes / 2 + 1
}

/// What is sent to be confirmed.
#[derive(Clone)]
pub(crate) enum Operation {
    Script(Call),
    Grant(Grant),
}

impl Operation {
    fn add_to(&self, commands: &mut Pipeline, manner: Manner) {
        match self {
            Self::Script(call) => {
                commands.add_command(call.command(manner));
            }
            Self::Grant(grant) => grant.add_to(commands),
        }
    }

    fn replies(&self) -> usize {
        match self {
            Self::Script(_) => 1,
            Self::Grant(_) => grant::COMMANDS,
        }
    }
}

/// What a connection confirms for: one incarnation, and the gate that grants pass.
#[derive(Clone)]
pub(crate) struct Subject {
    pub(crate) replication_id: Arc<str>,
    pub(crate) gate_key: Arc<str>,
}

/// Sends operations together and confirms them together.
pub(crate) struct Confirmer {
    connection: Connection,
    jobs: mpsc::Sender<Job>,
}

struct Job {
    operation: Operation,
    data_nodes: usize,
    done: oneshot::Sender<Result<(Vec<Value>, Confirmed), Failure>>,
}

impl Confirmer {
    /// Takes over a connection that carries nothing else. It ends with that connection.
    pub(crate) fn new(connection: Connection, wait: Duration, subject: Subject) -> Self {
        let (jobs, queue) = mpsc::channel(4 * MOST);
        let worker = Worker {
            connection: connection.clone(),
            wait,
            subject,
        };
        tokio::spawn(worker.run(queue));
        Self { connection, jobs }
    }

    /// Runs one operation and reports how many of `data_nodes` have its write.
    pub(crate) async fn run(
        &self,
        operation: Operation,
        data_nodes: usize,
    ) -> Result<(Vec<Value>, Confirmed), Failure> {
        let node = self.connection.node();
        let ending = self.connection.ending();
        let ended = |cause| Unavailable::on(node, cause);
        let (done, outcome) = oneshot::channel();
        let job = Job {
            operation,
            data_nodes,
            done,
        };
        let queued = tokio::select! {
            biased;
            queued = self.jobs.send(job) => queued,
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

/// The task of one connection.
struct Worker {
    connection: Connection,
    wait: Duration,
    subject: Subject,
}

impl Worker {
    async fn run(self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(MOST);
        while !self.connection.ending().has_ended() {
            let received = tokio::select! {
                received = queue.recv_many(&mut jobs, MOST) => received,
                _ = self.connection.ending().ended() => break,
            };
            if received == 0 {
                break;
            }
            self.confirm(std::mem::take(&mut jobs)).await;
        }
    }

    /// Sends the operations, by digest first; those whose script the server does not know, whole.
    async fn confirm(&self, mut jobs: Vec<Job>) {
        for manner in [Manner::ByDigest, Manner::Whole] {
            // Whoever gave up before its operation was sent has nothing to confirm, and may have had
            // the lock released already: the grant must not come after.
            jobs.retain(|job| !job.done.is_closed());
            if jobs.is_empty() {
                return;
            }
            match self.send(&jobs, manner).await {
                Ok((replies, confirmed)) => jobs = self.settle(jobs, replies, confirmed, manner),
                Err(failure) => {
                    for job in jobs {
                        let _ = job.done.send(Err(failure.clone()));
                    }
                    return;
                }
            }
        }
    }

    async fn send(&self, jobs: &[Job], manner: Manner) -> Result<(Vec<Value>, Confirmed), Failure> {
        let data_nodes = jobs.iter().map(|job| job.data_nodes).max().unwrap_or(1);
        let needed = majority(data_nodes);
        let mut commands = redis::pipe();
        for job in jobs {
            job.operation.add_to(&mut commands, manner);
        }
        commands
            .cmd("WAIT")
            .arg(needed - 1)
            .arg(self.wait.as_millis().max(1) as u64);
        // Behind `WAIT`, so that what happened before the confirmation is seen.
        let look = looking(&self.subject.gate_key);
        commands.add_command(look.command(manner));
        // The reply to WAIT may take all of its time, and the network as much again.
        let mut replies = self.connection.run_all(&commands, 2 * self.wait).await?;
        let mut looked = replies.pop().unwrap_or(Value::Nil);
        let waited = self.checked(replies.pop().unwrap_or(Value::Nil))?;
        let replicas = reply::integer(&waited).map_err(|unexpected| self.unexpected(unexpected))?;
        if classify::is_unknown_script(&looked) {
            looked = self.connection.call(&look).await?;
        }
        let looked = self.checked(looked)?;
        let look = Look::parse(&looked, &self.subject.replication_id)
            .map_err(|unexpected| self.unexpected(unexpected))?;
        let confirmed = Confirmed {
            acknowledged: 1 + usize::try_from(replicas).unwrap_or_default(),
            needed,
            data_nodes,
            look: Some(look),
        };
        Ok((replies, confirmed))
    }

    /// Answers every job, except those whose script the server did not know.
    fn settle(
        &self,
        jobs: Vec<Job>,
        replies: Vec<Value>,
        confirmed: Confirmed,
        manner: Manner,
    ) -> Vec<Job> {
        let mut replies = replies.into_iter();
        let mut again = Vec::new();
        for job in jobs {
            let answer: Vec<Value> = replies.by_ref().take(job.operation.replies()).collect();
            let is_unknown = answer.iter().any(classify::is_unknown_script);
            if is_unknown && manner == Manner::ByDigest {
                again.push(job);
                continue;
            }
            let checked = match &job.operation {
                Operation::Script(_) => answer.into_iter().map(|one| self.checked(one)).collect(),
                Operation::Grant(_) => Grant::checked(&self.connection, answer),
            };
            let _ = job.done.send(checked.map(|answer| (answer, confirmed)));
        }
        again
    }

    fn checked(&self, reply: Value) -> Result<Value, Failure> {
        self.connection.checked(reply)
    }

    fn unexpected(&self, unexpected: reply::Unexpected) -> Failure {
        let cause = Cause::Protocol {
            detail: unexpected.detail,
        };
        Failure::unknown(Unavailable::on(self.connection.node(), cause))
    }
}
