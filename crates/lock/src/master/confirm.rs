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
use tokio::time::Instant;

use crate::master::look::{Look, looking};
use crate::protocol::grant::{self, GrantCommands};
use crate::protocol::reply;
use crate::protocol::script::{Manner, ScriptCall};
use crate::transport::connection::Connection;
use crate::transport::server_errors::{self, Failure};
use crate::unavailable::Unavailable;

/// The most operations that are confirmed by one `WAIT`.
const MOST: usize = 256;

/// How long one `WAIT` waits: those that come meanwhile wait behind it.
const SLICE: Duration = Duration::from_millis(100);

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

    /// Whether more than half of this number of data nodes have the write.
    pub(crate) fn by_majority_of(self, data_nodes: usize) -> bool {
        self.by_majority() && self.acknowledged >= majority(data_nodes)
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
    Script(ScriptCall),
    Grant(GrantCommands),
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
    /// How its script is sent: by digest, until the server turns out not to know it.
    manner: Manner,
    data_nodes: usize,
    done: oneshot::Sender<Result<(Vec<Value>, Confirmed), Failure>>,
}

/// A job that was answered and is not confirmed yet.
struct Unconfirmed {
    job: Job,
    replies: Vec<Value>,
    until: Instant,
}

impl Confirmer {
    /// Takes over a connection that carries nothing else, and ends with it. `others` is how many connections replicate
    /// from the node and are no data node.
    pub(crate) fn new(
        connection: Connection,
        wait: Duration,
        subject: Subject,
        others: usize,
    ) -> Self {
        let (jobs, queue) = mpsc::channel(4 * MOST);
        let worker = Worker {
            connection: connection.clone(),
            wait,
            subject,
            jobs: Vec::new(),
            unconfirmed: Vec::new(),
            seen: Acknowledging {
                data_nodes: 1,
                others,
            },
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
        let ending = self.connection.close_signal();
        let ended = |cause| Unavailable::on(node, cause);
        let (done, outcome) = oneshot::channel();
        let job = Job {
            operation,
            manner: Manner::ByDigest,
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

/// The task of one connection. In each round it sends what has come in, waits for a moment, and answers
/// those that are confirmed or whose time is over. A replica that was attached meanwhile is asked for its
/// offset by the next `WAIT`.
struct Worker {
    connection: Connection,
    wait: Duration,
    subject: Subject,
    jobs: Vec<Job>,
    unconfirmed: Vec<Unconfirmed>,
    /// What the last look saw.
    seen: Acknowledging,
}

/// Who may acknowledge a write.
#[derive(Debug, Clone, Copy)]
struct Acknowledging {
    data_nodes: usize,
    /// Connections that replicate and are no data node of their own. None of them counts.
    others: usize,
}

impl Worker {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        while !self.connection.close_signal().has_ended() {
            if !self.receive(&mut queue).await {
                break;
            }
            // A caller that gave up before its operation was sent has nothing to confirm, and may have
            // released the lock already: the grant must not come after.
            self.jobs.retain(|job| !job.done.is_closed());
            self.unconfirmed.retain(|one| !one.job.done.is_closed());
            if self.jobs.is_empty() && self.unconfirmed.is_empty() {
                continue;
            }
            match self.send().await {
                Ok((replies, confirmed)) => self.settle(replies, confirmed),
                Err(failure) => self.fail(&failure),
            }
        }
    }

    /// Waits for jobs, unless there are some already. `false`: there will be none.
    async fn receive(&mut self, queue: &mut mpsc::Receiver<Job>) -> bool {
        let room = MOST.saturating_sub(self.jobs.len()).max(1);
        if self.jobs.is_empty() && self.unconfirmed.is_empty() {
            return tokio::select! {
                received = queue.recv_many(&mut self.jobs, room) => received > 0,
                _ = self.connection.close_signal().ended() => false,
            };
        }
        for _ in 0..room {
            match queue.try_recv() {
                Ok(job) => self.jobs.push(job),
                Err(_) => break,
            }
        }
        true
    }

    async fn send(&mut self) -> Result<(Vec<Value>, Confirmed), Failure> {
        let waiting = self.unconfirmed.iter().map(|one| &one.job);
        let data_nodes = self.jobs.iter().chain(waiting).map(|job| job.data_nodes);
        let data_nodes = data_nodes.max().unwrap_or(1).max(self.seen.data_nodes);
        let mut commands = redis::pipe();
        for job in &self.jobs {
            job.operation.add_to(&mut commands, job.manner);
        }
        let slice = SLICE.min(self.wait);
        commands
            .cmd("WAIT")
            .arg(majority(data_nodes) - 1 + self.seen.others)
            .arg(slice.as_millis().max(1) as u64);
        // Behind `WAIT`, so that what happened before the confirmation is seen.
        let look = looking(&self.subject.gate_key, 2 * self.wait);
        commands.add_command(look.command(Manner::ByDigest));
        let limit = 2 * self.wait;
        let mut replies = self.connection.run_all(&commands, limit).await?;
        let mut looked = replies.pop().unwrap_or(Value::Nil);
        let waited = self.checked(replies.pop().unwrap_or(Value::Nil))?;
        let replicas = self.connection.read(reply::integer(&waited))?;
        if server_errors::is_unknown_script(&looked) {
            looked = self.connection.call(&look).await?;
        }
        let looked = self.checked(looked)?;
        let look = self
            .connection
            .read(Look::parse(&looked, &self.subject.replication_id))?;
        // The record may know of more data nodes than this client has seen.
        let data_nodes = data_nodes.max(look.data_nodes);
        // Who is new among the others was synchronised in full, which the look sees: it voids all that was confirmed.
        let others = self.seen.others.max(look.others);
        self.seen = Acknowledging {
            data_nodes,
            others: look.others,
        };
        let replicas = usize::try_from(replicas).unwrap_or_default();
        let confirmed = Confirmed {
            acknowledged: 1 + replicas.saturating_sub(others),
            needed: majority(data_nodes),
            data_nodes,
            look: Some(look),
        };
        Ok((replies, confirmed))
    }

    /// Answers every job that is confirmed or whose time is over, and keeps the others. Jobs whose script
    /// the server did not know are sent again, whole.
    fn settle(&mut self, replies: Vec<Value>, confirmed: Confirmed) {
        let mut replies = replies.into_iter();
        let until = Instant::now() + self.wait.saturating_sub(SLICE);
        let mut again = Vec::new();
        for mut job in std::mem::take(&mut self.jobs) {
            let replies: Vec<Value> = replies.by_ref().take(job.operation.replies()).collect();
            if replies.iter().any(server_errors::is_unknown_script)
                && job.manner == Manner::ByDigest
            {
                job.manner = Manner::Whole;
                again.push(job);
                continue;
            }
            self.unconfirmed.push(Unconfirmed {
                job,
                replies,
                until,
            });
        }
        self.jobs = again;
        let now = Instant::now();
        for one in std::mem::take(&mut self.unconfirmed) {
            if !confirmed.by_majority() && now < one.until {
                self.unconfirmed.push(one);
                continue;
            }
            let Unconfirmed { job, replies, .. } = one;
            let checked = match &job.operation {
                Operation::Script(_) => replies.into_iter().map(|one| self.checked(one)).collect(),
                Operation::Grant(_) => GrantCommands::checked(&self.connection, replies),
            };
            let _ = job.done.send(checked.map(|replies| (replies, confirmed)));
        }
    }

    fn fail(&mut self, failure: &Failure) {
        let jobs = std::mem::take(&mut self.jobs);
        let unconfirmed = std::mem::take(&mut self.unconfirmed);
        for job in jobs
            .into_iter()
            .chain(unconfirmed.into_iter().map(|one| one.job))
        {
            let _ = job.done.send(Err(failure.clone()));
        }
    }

    fn checked(&self, reply: Value) -> Result<Value, Failure> {
        self.connection.checked(reply)
    }
}
