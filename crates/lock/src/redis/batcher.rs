//! From single requests to batches, on one connection.
//!
//! Being called costs the server more than what a script does, so requests that come together leave
//! together. Where there are few at once each goes alone.
//!
//! While the server works at one batch the next one forms. So a batch leaves as soon as half of those
//! are in it that were under way at once of late, and else when nobody who is ready joins it any more;
//! one task sees to that, and to the replies. It belongs to the connection and ends with it.
//!
//! Requests leave in the order in which they came: what undoes a grant never overtakes it. A batch
//! that nobody waits for any more before it left is forgotten.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use redis::Value;
use tokio::sync::Notify;
use tokio::task::unconstrained;

use super::batch::{Batch, Familiarity, Layout, Number};
use super::classify::Failure;
use super::deadlines::UnderWay;
use super::gathering::FEW;
use super::invocation::Invocation;
use super::wire::Wire;
use crate::unavailable::{Cause, Unavailable};

/// How often those who are ready get a turn to join a batch while the server is busy with another one:
/// a few microseconds in all if nobody is.
const PATIENCE: usize = 4;

/// The batches of one connection, of which one at most is forming.
pub(crate) struct Batcher {
    wire: Wire,
    under_way: UnderWay,
    forming: Mutex<Forming>,
    /// A batch began to form, or left.
    changed: Notify,
}

#[derive(Default)]
struct Forming {
    batch: Batch,
    /// Those that are in the batch hold on to this.
    departure: Weak<Departure>,
    /// Batches that left and are not in the hands of the task yet.
    left: Vec<Reply>,
    crowd: Crowd,
    server: Familiarity,
    /// No batch leaves any more.
    is_over: bool,
}

/// How many requests were under way at once of late: a guess at how many will come together.
#[derive(Default)]
struct Crowd {
    of_late: usize,
}

/// Ends with the reply to a batch.
type Reply = BoxFuture<'static, ()>;

/// What becomes of a batch.
#[derive(Default)]
struct Departure {
    outcome: OnceLock<Outcome>,
    told: Notify,
}

enum Outcome {
    Answered(Value, Layout),
    Failed(Failure),
    /// It was not sent.
    Undone,
}

/// One request's place in a batch.
pub(crate) struct Place {
    departure: Arc<Departure>,
    number: Number,
}

impl Batcher {
    /// Starts the task that goes with it.
    pub(super) fn start(wire: Wire) -> Arc<Self> {
        let batcher = Arc::new(Self {
            under_way: wire.deadlines.under_way(),
            wire,
            forming: Mutex::default(),
            changed: Notify::new(),
        });
        let task = Task {
            batcher: batcher.clone(),
            replies: FuturesUnordered::new(),
        };
        tokio::spawn(task.run());
        batcher
    }

    /// Joins the batch that is forming, or begins one unless there are few at once. `None`: the request
    /// is to go by itself, now; whatever came before it has left.
    pub(crate) fn enter(&self, request: &Invocation) -> Option<Place> {
        let mut forming = self.forming();
        let (departure, begins) = match forming.departure.upgrade() {
            Some(departure) => (departure, false),
            None if forming.is_over => return None,
            None if forming.crowd.is_small(self.under_way.requests()) => {
                forming.crowd.leave(self.under_way.requests() + 1);
                return None;
            }
            None => {
                forming.batch = Batch::default();
                (Arc::default(), true)
            }
        };
        let Some(number) = forming.batch.push(request) else {
            self.send_off(&mut forming);
            return None;
        };
        forming.departure = Arc::downgrade(&departure);
        if forming.batch.is_full() || forming.batch.count() >= forming.crowd.half() {
            self.send_off(&mut forming);
        } else if begins {
            self.changed.notify_one();
        }
        Some(Place { departure, number })
    }

    /// Waits for the reply to the batch. `None`: the request was not sent, or left undone, and can be
    /// sent alone.
    ///
    /// Cancel safe for the others.
    pub(crate) async fn reply(&self, place: Place) -> Result<Option<Value>, Failure> {
        let departure = &*place.departure;
        let told = departure.told.notified();
        if departure.outcome.get().is_none() {
            told.await;
        }
        match departure.outcome.get() {
            Some(Outcome::Answered(reply, layout)) => {
                let answer = layout.reply_to(place.number, reply);
                if answer.is_none() {
                    self.forming().server.learn(reply);
                }
                Ok(answer)
            }
            Some(Outcome::Failed(failure)) => Err(failure.clone()),
            Some(Outcome::Undone) | None => Ok(None),
        }
    }

    fn send_off(&self, forming: &mut Forming) {
        let departure = std::mem::take(&mut forming.departure);
        let batch = std::mem::take(&mut forming.batch);
        if departure.strong_count() == 0 {
            return;
        }
        let count = batch.count();
        forming.crowd.leave(self.under_way.requests() + count);
        let (command, layout) = batch.into_command(&mut forming.server);
        let wire = self.wire.clone();
        let answering = Answering(departure);
        let reply = async move {
            answering.end(match wire.send_for(count, &command).await {
                Ok(reply) => Outcome::Answered(reply, layout),
                Err(failure) => Outcome::Failed(failure),
            });
        };
        // First, so that the driver of the connection, which the sending wakes, runs before the task.
        self.changed.notify_one();
        // It takes its place among the commands of the connection before the next one can, also where
        // the task that happens to send it has used up its budget.
        let mut reply = unconstrained(reply).boxed();
        let mut unheard = Context::from_waker(Waker::noop());
        if reply.poll_unpin(&mut unheard).is_pending() {
            forming.left.push(reply);
        }
    }

    /// Lets whoever is ready join the batch, and sends it off when nobody did for a while.
    async fn gather(&self) {
        let (mut count, mut looks) = (0, 0);
        loop {
            {
                let mut forming = self.forming();
                let now = forming.batch.count();
                looks = if now > count { 0 } else { looks + 1 };
                count = now;
                if looks >= self.patience() || now == 0 {
                    return self.send_off(&mut forming);
                }
            }
            let_others_run().await;
        }
    }

    /// How often to look for more before a batch leaves: there is no hurry while the server is busy.
    fn patience(&self) -> usize {
        if self.under_way.requests() > 0 {
            PATIENCE
        } else {
            1
        }
    }

    fn forming(&self) -> MutexGuard<'_, Forming> {
        self.forming.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Crowd {
    fn leave(&mut self, under_way: usize) {
        self.of_late = under_way.max(self.of_late - self.of_late.div_ceil(8));
    }

    /// Whether one more besides those under way is not worth waiting for others.
    fn is_small(&self, under_way: usize) -> bool {
        self.of_late <= FEW && under_way < FEW
    }

    fn half(&self) -> usize {
        self.of_late.div_ceil(2)
    }
}

/// Tells those that wait for a batch, whatever becomes of it.
struct Answering(Weak<Departure>);

impl Answering {
    fn end(&self, outcome: Outcome) {
        if let Some(departure) = self.0.upgrade() {
            let _ = departure.outcome.set(outcome);
            departure.told.notify_waiters();
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let gone = Unavailable::new(Cause::Disconnected);
        self.end(Outcome::Failed(Failure::unknown(gone)));
    }
}

/// Sees to the batches of one connection.
struct Task {
    batcher: Arc<Batcher>,
    replies: FuturesUnordered<Reply>,
}

impl Task {
    async fn run(mut self) {
        let batcher = self.batcher.clone();
        loop {
            let forming = self.look();
            tokio::select! {
                biased;
                Some(()) = self.replies.next(), if !self.replies.is_empty() => {}
                () = batcher.gather(), if forming > 0 => {}
                () = batcher.changed.notified(), if forming == 0 => {}
                _ = batcher.wire.ending.ended(), if forming == 0 && self.replies.is_empty() => return,
            }
        }
    }

    /// Takes what has left, and returns how many are in the batch that is forming.
    fn look(&mut self) -> usize {
        let mut forming = self.batcher.forming();
        self.replies.extend(forming.left.drain(..));
        forming.batch.count()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let mut forming = self.batcher.forming();
        forming.is_over = true;
        forming.left.clear();
        Answering(std::mem::take(&mut forming.departure)).end(Outcome::Undone);
    }
}

/// Lets those tasks run that are ready already. Unlike tokio's own way to yield it does not look for
/// replies of the server first, which takes longer than they do.
async fn let_others_run() {
    let mut have_run = false;
    poll_fn(|context| {
        if std::mem::replace(&mut have_run, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::classify::Outcome::Unknown;

    #[test]
    fn whoever_waits_for_a_batch_is_told_also_if_nobody_sees_to_it_any_more() {
        let departure = Arc::<Departure>::default();
        drop(Answering(Arc::downgrade(&departure)));
        let outcome = departure.outcome.get();
        assert!(matches!(outcome, Some(Outcome::Failed(failure)) if failure.outcome == Unknown));
    }

    #[test]
    fn half_of_a_crowd_is_waited_for_and_none_of_one_that_is_gone() {
        let mut crowd = Crowd::default();
        assert!(crowd.is_small(0) && !crowd.is_small(FEW));
        for under_way in [1, 4, 8] {
            crowd.leave(under_way);
        }
        assert!(!crowd.is_small(0));
        assert_eq!(crowd.half(), 4);
        for _ in 0..8 {
            crowd.leave(1);
        }
        assert!(crowd.is_small(0));
    }
}
