//! Conditions of the take-over that a test may leave out, to see that what checks the protocol convicts one without
//! them. Without the feature `broken` none can be.

#[cfg(all(feature = "broken", not(debug_assertions)))]
compile_error!("the feature `broken` is for this project's tests: no optimised build may have it");

/// A condition on a replica that is to show that a new master has everything.
#[cfg_attr(
    not(feature = "broken"),
    expect(unreachable_pub, reason = "public with the feature")
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It continues the last master's history by a partial synchronisation.
    SameHistory,
    /// It has been up for a longest lease.
    Uptime,
}

#[cfg(not(feature = "broken"))]
pub(crate) fn is_demanded(_: Condition) -> bool {
    true
}

#[cfg(feature = "broken")]
pub use left_out::{LeftOut, leave_out};

#[cfg(feature = "broken")]
pub(crate) use left_out::is_demanded;

#[cfg(feature = "broken")]
mod left_out {
    use super::Condition;
    use crate::sync::Mutex;

    static LEFT_OUT: Mutex<Option<Condition>> = Mutex::new(None);

    /// The condition is demanded again when this is dropped.
    #[derive(Debug)]
    #[must_use = "the condition is demanded again when this is dropped"]
    pub struct LeftOut(());

    /// Leaves one condition out, in the whole process.
    pub fn leave_out(condition: Condition) -> LeftOut {
        *LEFT_OUT.lock() = Some(condition);
        LeftOut(())
    }

    pub(crate) fn is_demanded(condition: Condition) -> bool {
        *LEFT_OUT.lock() != Some(condition)
    }

    impl Drop for LeftOut {
        fn drop(&mut self) {
            *LEFT_OUT.lock() = None;
        }
    }
}
