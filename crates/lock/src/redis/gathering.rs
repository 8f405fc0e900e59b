//! A connection's driver that gathers commands before it writes.
//!
//! The first command of a burst wakes the driver, which would write it alone, with one call of the
//! operating system for each command. So while several commands are under way it lets whoever is
//! ready go first, once: their commands then leave in one write. For few that would be a detour.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::deadlines::UnderWay;

/// So many requests at once are too few to gather.
pub(super) const FEW: usize = 2;

/// A driver that yields before it works.
pub(crate) struct Gathering<D> {
    driver: Pin<Box<D>>,
    under_way: UnderWay,
    has_yielded: bool,
}

impl<D> Gathering<D> {
    pub(crate) fn new(driver: D, under_way: UnderWay) -> Self {
        Self {
            driver: Box::pin(driver),
            under_way,
            has_yielded: false,
        }
    }

    fn is_worth_it(&self) -> bool {
        self.under_way.commands() > 1 && self.under_way.requests() > FEW
    }
}

impl<D: Future> Future for Gathering<D> {
    type Output = D::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<D::Output> {
        if !self.has_yielded && self.is_worth_it() {
            self.has_yielded = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.has_yielded = false;
        self.driver.as_mut().poll(context)
    }
}
