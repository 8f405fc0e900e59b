//! What happened, by the records of those to whom it happened.

pub(crate) use super::register::Step;

/// Microseconds of the monotonic clock, which all processes of a machine share.
pub(crate) type Micros = u64;

/// One line of a worker's standard output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// A lease was granted.
    Granted { fence: u64, at: Micros },
    /// The worker ceased to act under it: it began the release, lost the lease, or its deadline
    /// passed, whichever came first.
    Over { fence: u64, at: Micros },
    /// The journal took a step.
    Accepted { fence: u64, step: u64, at: Micros },
    /// The journal refused a step.
    Refused { fence: u64, step: u64, at: Micros },
    /// A lease was lost, or could not be had, and the worker tries again.
    Trouble { at: Micros, message: String },
}

impl Record {
    /// Reads a line; `None` if it is no record.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let (kind, rest) = line.split_once(' ')?;
        if kind == "trouble" {
            let (at, message) = rest.split_once(' ')?;
            return Some(Self::Trouble {
                at: at.parse().ok()?,
                message: message.to_owned(),
            });
        }
        let numbers: Option<Vec<u64>> = rest.split(' ').map(|word| word.parse().ok()).collect();
        Some(match (kind, numbers?.as_slice()) {
            ("granted", &[fence, at]) => Self::Granted { fence, at },
            ("over", &[fence, at]) => Self::Over { fence, at },
            ("accepted", &[fence, step, at]) => Self::Accepted { fence, step, at },
            ("refused", &[fence, step, at]) => Self::Refused { fence, step, at },
            _ => return None,
        })
    }
}

/// One lease, from its grant until its holder ceased to act under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holding {
    pub(crate) worker: usize,
    pub(crate) fence: u64,
    pub(crate) from: Micros,
    pub(crate) until: Micros,
}

/// One fault, or what followed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A worker was frozen while it held the lease, and thawed.
    Frozen {
        worker: usize,
        from: Micros,
        until: Micros,
    },
    /// The master was killed.
    Killed { node: usize, at: Micros },
    /// The Sentinels named a new master.
    Promoted { node: usize, at: Micros },
}

/// The whole run.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    pub(crate) start: Micros,
    pub(crate) end: Micros,
    pub(crate) workers: usize,
    /// In the order of their grants.
    pub(crate) holdings: Vec<Holding>,
    /// Grants of which no end was recorded: their holder died, or its records are wrong.
    pub(crate) unfinished: usize,
    /// Steps that workers know to be in the journal.
    pub(crate) accepted: Vec<Step>,
    /// The journal as it was found at the end.
    pub(crate) journal: Vec<Step>,
    /// Late writes that were sent under an earlier lease's fence, to see them refused.
    pub(crate) late_writes: usize,
    /// Writes that the journal refused.
    pub(crate) refused: usize,
    /// Leases that were lost, attempts that failed, writes that were refused: worker, time, what.
    pub(crate) troubles: Vec<(usize, Micros, String)>,
    pub(crate) events: Vec<Event>,
}

impl History {
    /// Takes in what one worker recorded, in its own order.
    pub(crate) fn add(&mut self, worker: usize, records: Vec<Record>) {
        let mut current: Option<(u64, Micros)> = None;
        for record in records {
            match record {
                Record::Granted { fence, at } => {
                    self.unfinished += usize::from(current.is_some());
                    current = Some((fence, at));
                }
                Record::Over { fence, at } => match current.take() {
                    Some((granted, from)) if granted == fence => self.holdings.push(Holding {
                        worker,
                        fence,
                        from,
                        until: at,
                    }),
                    _ => self.unfinished += 1,
                },
                Record::Accepted { fence, step, .. } => self.accepted.push(Step { step, fence }),
                Record::Refused { fence, at, .. } => {
                    let message = format!("the journal refused its write under fence {fence}");
                    self.troubles.push((worker, at, message));
                }
                Record::Trouble { at, message } => self.troubles.push((worker, at, message)),
            }
        }
        self.unfinished += usize::from(current.is_some());
        self.holdings.sort_by_key(|holding| holding.from);
    }

    /// When the master was killed.
    pub(crate) fn killed_at(&self) -> Option<Micros> {
        self.events.iter().find_map(|event| match event {
            Event::Killed { at, .. } => Some(*at),
            _ => None,
        })
    }

    /// When the Sentinels named a new master.
    pub(crate) fn promoted_at(&self) -> Option<Micros> {
        self.events.iter().find_map(|event| match event {
            Event::Promoted { at, .. } => Some(*at),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_and_nothing_else_is() {
        let read = Record::read("granted 7 100");
        assert_eq!(read, Some(Record::Granted { fence: 7, at: 100 }));
        let read = Record::read("trouble 5 the lease is lost");
        let message = "the lease is lost".to_owned();
        assert_eq!(read, Some(Record::Trouble { at: 5, message }));
        for line in [
            "",
            "granted",
            "granted 7",
            "granted 7 x",
            "over 1 2 3",
            "hello 1 2",
        ] {
            assert_eq!(Record::read(line), None, "{line:?}");
        }
    }

    #[test]
    fn a_grant_without_an_end_is_noticed() {
        let granted = |fence| Record::Granted { fence, at: fence };
        let over = |fence| Record::Over { fence, at: fence };
        let unfinished = |records: Vec<Record>| {
            let mut history = History::default();
            history.add(0, records);
            (history.holdings.len(), history.unfinished)
        };
        assert_eq!(unfinished(vec![granted(1), over(1)]), (1, 0));
        assert_eq!(unfinished(vec![granted(1)]), (0, 1));
        assert_eq!(unfinished(vec![granted(1), granted(2), over(2)]), (1, 1));
        assert_eq!(unfinished(vec![granted(1), over(2)]), (0, 1));
        assert_eq!(unfinished(vec![over(2)]), (0, 1));
    }
}
