//! Requests to several members at once.

use std::task::{Context, Waker};

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, unconstrained};

use crate::sync::Mutex;

/// Requests that were sent and not answered yet; they end with this, or by their deadlines.
#[derive(Default)]
pub(super) struct FanOut {
    in_flight: Mutex<JoinSet<()>>,
}

impl FanOut {
    /// Sends a request to every member at once. Each runs to its own deadline even if nobody waits for
    /// the answer any more, so that a member which hangs is noticed.
    ///
    /// Every request is on its way before the next one can be sent, whichever task sends it: what
    /// undoes a grant must not come to a member before it.
    pub(super) fn send<M, A, F>(
        &self,
        members: &[M],
        request: impl Fn(&M) -> F,
    ) -> mpsc::Receiver<A>
    where
        A: Send + 'static,
        F: Future<Output = A> + Send + 'static,
    {
        let (answer, answers) = mpsc::channel(members.len().max(1));
        let mut without_waker = Context::from_waker(Waker::noop());
        for member in members {
            let (sending, answer) = (request(member), answer.clone());
            let mut sending = unconstrained(async move {
                let _ = answer.send(sending.await).await;
            })
            .boxed();
            if sending.poll_unpin(&mut without_waker).is_pending() {
                self.run_to_completion(sending);
            }
        }
        answers
    }

    /// Runs what goes on in the background, as long as this lives.
    pub(super) fn run_to_completion(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut in_flight = self.in_flight.lock();
        while in_flight.try_join_next().is_some() {}
        in_flight.spawn(work);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn every_request_is_on_its_way_before_the_next_one_can_be_sent() {
        let fan_out = FanOut::default();
        let on_its_way = Arc::<AtomicUsize>::default();
        let mut answers = fan_out.send(&[1, 2, 3], |member| {
            let (member, on_its_way) = (*member, on_its_way.clone());
            async move {
                on_its_way.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                member
            }
        });
        assert_eq!(on_its_way.load(Ordering::Relaxed), 3);
        let mut all = Vec::new();
        while let Some(answer) = answers.recv().await {
            all.push(answer);
        }
        assert_eq!(all, [1, 2, 3]);
    }
}
