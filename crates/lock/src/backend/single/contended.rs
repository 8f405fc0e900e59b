//! Names with a queue: their grants go by script, which keeps the order of the queue.

use std::collections::HashSet;
use std::sync::Arc;

use crate::sync::Mutex;

/// Beyond this number of names all are forgotten: the next attempt at each meets its queue again.
const MOST: usize = 4_096;

/// A process that releases a lock and asks for it again at once must not overtake the waiter that its
/// release has called. So it remembers who waits: a name is in here from an attempt that was
/// refused, or a release that called somebody, until a release that called nobody.
#[derive(Default)]
pub(super) struct Contended(Mutex<HashSet<Arc<str>>>);

impl Contended {
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.lock().contains(name)
    }

    pub(super) fn insert(&self, name: &Arc<str>) {
        let mut names = self.0.lock();
        if names.len() >= MOST {
            names.clear();
        }
        names.insert(name.clone());
    }

    pub(super) fn remove(&self, name: &str) {
        self.0.lock().remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_names_are_kept_and_no_more() {
        let contended = Contended::default();
        for number in 0..3 * MOST {
            let name: Arc<str> = number.to_string().into();
            contended.insert(&name);
            assert!(contended.contains(&name) && contended.0.lock().len() <= MOST);
        }
        assert!(contended.0.lock().len() > 1, "the last is not kept alone");
        contended.remove(&(3 * MOST - 1).to_string());
        assert!(!contended.contains(&(3 * MOST - 1).to_string()));
    }
}
