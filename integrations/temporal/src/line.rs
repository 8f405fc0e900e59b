//! The order in which the activities of a worker wait for a lock.
//!
//! The queue in Redis has one place for each process. What is before an activity in its own process
//! is known only here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The name of a lock, and of how many slots.
type Key = (String, Option<usize>);

/// Who waits for which lock, in the order of asking.
#[derive(Debug, Default)]
pub(crate) struct Line {
    waits: Mutex<Waits>,
}

#[derive(Debug, Default)]
struct Waits {
    asked: u64,
    numbers: HashMap<Key, Vec<u64>>,
}

/// One who waits; leaves the line when dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    line: Arc<Line>,
    key: Key,
    number: u64,
}

impl Line {
    /// Enters the line behind everyone who waits for the same.
    pub(crate) fn enter(self: &Arc<Self>, name: &str, max_locks: Option<usize>) -> Turn {
        let key = (name.to_owned(), max_locks);
        let mut waits = self.waits();
        waits.asked += 1;
        let number = waits.asked;
        waits.numbers.entry(key.clone()).or_default().push(number);
        Turn {
            line: self.clone(),
            key,
            number,
        }
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// How many of this worker asked for the same before, and still wait.
    pub(crate) fn before(&self) -> usize {
        let waits = self.line.waits();
        let numbers = waits.numbers.get(&self.key);
        numbers.map_or(0, |numbers| {
            numbers
                .iter()
                .take_while(|&&number| number != self.number)
                .count()
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut waits = self.line.waits();
        if let Some(numbers) = waits.numbers.get_mut(&self.key) {
            numbers.retain(|&number| number != self.number);
            if numbers.is_empty() {
                waits.numbers.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_leaves_lets_the_others_move_up() {
        let line = Arc::new(Line::default());
        let first = line.enter("warehouse", Some(2));
        let second = line.enter("warehouse", Some(2));
        let third = line.enter("warehouse", Some(2));
        let other = line.enter("warehouse", None);
        assert_eq!(
            [&first, &second, &third, &other].map(Turn::before),
            [0, 1, 2, 0]
        );
        drop(first);
        assert_eq!([&second, &third].map(Turn::before), [0, 1]);
        drop((second, third, other));
        assert!(line.waits().numbers.is_empty());
    }
}
