//! Questions to all members at once.

use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, unconstrained};

/// Questions that were asked and not answered yet; they end with this, or by their deadlines.
#[derive(Default)]
pub(super) struct Questions {
    under_way: Mutex<JoinSet<()>>,
}

impl Questions {
    /// Asks every member at once. Each question runs to its own deadline even if nobody waits for
    /// the answer any more, so that a member which hangs is noticed.
    ///
    /// Every question is on its way before the next one can be asked, whichever task asks it: what
    /// undoes a grant must not come to a member before it.
    pub(super) fn ask<M, A, F>(
        &self,
        members: &[M],
        question: impl Fn(&M) -> F,
    ) -> mpsc::Receiver<A>
    where
        A: Send + 'static,
        F: Future<Output = A> + Send + 'static,
    {
        let (answer, answers) = mpsc::channel(members.len().max(1));
        let mut unheard = Context::from_waker(Waker::noop());
        for member in members {
            let (asking, answer) = (question(member), answer.clone());
            let mut asking = unconstrained(async move {
                let _ = answer.send(asking.await).await;
            })
            .boxed();
            if asking.poll_unpin(&mut unheard).is_pending() {
                self.see_through(asking);
            }
        }
        answers
    }

    /// Runs what goes on in the background, as long as this lives.
    pub(super) fn see_through(&self, asking: impl Future<Output = ()> + Send + 'static) {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while under_way.try_join_next().is_some() {}
        under_way.spawn(asking);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn every_question_is_on_its_way_before_the_next_one_can_be_asked() {
        let questions = Questions::default();
        let on_its_way = Arc::<AtomicUsize>::default();
        let mut answers = questions.ask(&[1, 2, 3], |member| {
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
