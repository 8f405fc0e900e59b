//! From single requests to batches, on one connection.
//!
//! Being called costs the server more than what a script does, so requests that become ready while
//! others are under way leave as one. One that comes alone goes alone.
//!
//! Nobody owns a batch: each of its requests lets whoever is ready go first, once, and then sends it
//! off unless that has been done; all wait for the same reply. So it does not matter which of them
//! are dropped meanwhile. Requests leave in the order in which they came: what undoes a grant never
//! overtakes it. A batch that nobody waits for any more before it left is forgotten.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};
use tokio::task::unconstrained;

use super::batch::{Batch, Familiarity, Layout, Number};
use super::script::Call;

/// The batches of one connection, of which one at most is forming.
pub(crate) struct Batcher {
    connection: MultiplexedConnection,
    forming: Mutex<Forming>,
}

#[derive(Default)]
struct Forming {
    batch: Batch,
    /// Those that are in the batch hold on to this.
    departure: Weak<Departure>,
    server: Familiarity,
}

/// What there is once the batch has left.
type Departure = OnceLock<Left>;

#[derive(Clone)]
struct Left {
    /// The reply to all; an error is the connection's.
    reply: Shared<BoxFuture<'static, Arc<RedisResult<Value>>>>,
    layout: Layout,
}

/// One request's place in a batch.
pub(crate) struct Place {
    departure: Arc<Departure>,
    number: Number,
}

impl Batcher {
    pub(crate) fn new(connection: MultiplexedConnection) -> Self {
        Self {
            connection,
            forming: Mutex::default(),
        }
    }

    /// Joins the batch that is forming, or begins one if `is_busy`. `None`: the request is to go by
    /// itself, now; whatever came before it has left.
    pub(crate) fn enter(&self, call: &Call, is_busy: bool) -> Option<Place> {
        let mut forming = self.forming();
        let departure = match forming.departure.upgrade() {
            Some(departure) => departure,
            None if !is_busy => return None,
            None => {
                forming.batch = Batch::default();
                Arc::default()
            }
        };
        let Some(number) = forming.batch.push(call) else {
            self.send_off(&mut forming);
            return None;
        };
        forming.departure = Arc::downgrade(&departure);
        if forming.batch.is_full() {
            self.send_off(&mut forming);
        }
        Some(Place { departure, number })
    }

    /// Sends the batch off, unless it has left, and waits for its reply. `None`: the request was not
    /// sent, or left undone, and can be sent alone.
    ///
    /// Cancel safe for the others.
    pub(crate) async fn reply(&self, place: Place) -> RedisResult<Option<Value>> {
        yield_once().await;
        let Some(left) = self.left(&place) else {
            return Ok(None);
        };
        match &*left.reply.await {
            Ok(reply) => {
                let answer = left.layout.reply_to(place.number, reply);
                if answer.is_none() {
                    self.forming().server.learn(reply);
                }
                Ok(answer)
            }
            Err(error) => Err(error.clone()),
        }
    }

    /// The place's batch on its way; `None` if there was no other request in it.
    fn left(&self, place: &Place) -> Option<Left> {
        let mut forming = self.forming();
        if place.departure.get().is_none() {
            if forming.batch.count() == 1 {
                forming.departure = Weak::new();
                return None;
            }
            self.send_off(&mut forming);
        }
        place.departure.get().cloned()
    }

    fn send_off(&self, forming: &mut Forming) {
        let Some(departure) = std::mem::take(&mut forming.departure).upgrade() else {
            return;
        };
        let batch = std::mem::take(&mut forming.batch);
        let (command, layout) = batch.into_command(&mut forming.server);
        let mut connection = self.connection.clone();
        let reply = async move { Arc::new(connection.send_packed_command(&command).await) };
        // It takes its place among the commands of the connection before the next one can, also where
        // the task that happens to send it has used up its budget.
        let reply = unconstrained(reply).boxed().shared();
        let _ = pin!(reply.clone()).poll(&mut Context::from_waker(Waker::noop()));
        let _ = departure.set(Left { reply, layout });
    }

    fn forming(&self) -> MutexGuard<'_, Forming> {
        self.forming.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets whoever is ready go first.
async fn yield_once() {
    let mut has_yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
