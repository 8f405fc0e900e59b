//! A batch: simple acquisitions and releases that the server answers in one go.
//!
//! `batch.lua` grants what nobody holds or waits for, and releases what nobody waits for; the rest is
//! sent alone. So a batch is an attempt to be quick, and its requests lose nothing by being in one.

use redis::{Cmd, Value};

use super::classify;
use super::script::{ACQUIRE, BATCH, Call, RELEASE, Words};

/// The most requests in one batch: while it runs, the server serves nobody else.
const MOST: usize = 64;

/// The requests of one batch.
#[derive(Default)]
pub(crate) struct Batch {
    acquisitions: Part,
    releases: Part,
    /// The greatest fence seen.
    floor: i64,
    gate: Option<Gate>,
}

/// The words of all requests of one kind, as the script wants them side by side.
#[derive(Default)]
struct Part {
    count: usize,
    keys: [Words; 2],
    arguments: Words,
}

/// What acquisitions in strict mode have in common.
#[derive(PartialEq, Eq)]
struct Gate {
    key: String,
    incarnation: String,
}

/// Where the reply to one request is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    Acquisition(usize),
    Release(usize),
}

/// Where the replies of a batch are: those of the acquisitions come first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    acquisitions: usize,
}

/// Whether the server was sent the script over a connection.
#[derive(Debug, Default)]
pub(crate) struct Familiarity {
    knows_script: bool,
}

impl Batch {
    /// Takes a request in, unless it is none that a batch can serve, or cannot be with those that are
    /// in it already.
    pub(crate) fn push(&mut self, call: &Call) -> Option<Number> {
        if call.is_asking() || self.is_full() {
            None
        } else if call.is_of(&ACQUIRE) {
            self.acquire(call)
        } else if call.is_of(&RELEASE) {
            self.release(call)
        } else {
            None
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.acquisitions.count + self.releases.count
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count() >= MOST
    }

    /// For the layout of the words see `acquire.lua`.
    fn acquire(&mut self, call: &Call) -> Option<Number> {
        let keys = call.key_count();
        let argument = |number| call.word(keys + number);
        let incarnation = argument(4)?;
        let gate = if incarnation.is_empty() {
            None
        } else {
            Some(Gate {
                key: call.word(keys - 1)?.to_owned(),
                incarnation: incarnation.to_owned(),
            })
        };
        let locks = keys - 3 - usize::from(gate.is_some());
        if locks != 1 || (self.acquisitions.count > 0 && self.gate != gate) {
            return None;
        }
        let floor = argument(2)?.parse().ok()?;
        let number = self.acquisitions.add(
            [&[call.word(1)?, call.word(3)?], &[call.word(0)?]],
            &[argument(0)?, argument(1)?],
        );
        self.gate = gate;
        self.floor = self.floor.max(floor);
        Some(Number::Acquisition(number))
    }

    /// For the layout of the words see `release.lua`.
    fn release(&mut self, call: &Call) -> Option<Number> {
        if call.key_count() != 3 {
            return None;
        }
        let (queue, lock, token) = (call.word(0)?, call.word(2)?, call.word(3)?);
        let number = self.releases.add([&[queue], &[lock]], &[token]);
        Some(Number::Release(number))
    }

    /// The one command for all, and where the replies are.
    pub(crate) fn into_command(self, server: &mut Familiarity) -> (Cmd, Layout) {
        let (call, layout) = self.into_call();
        let command = if std::mem::replace(&mut server.knows_script, true) {
            call.by_digest()
        } else {
            call.whole()
        };
        (command, layout)
    }

    fn into_call(self) -> (Call, Layout) {
        let (acquisitions, releases) = (self.acquisitions, self.releases);
        let (gate, incarnation) = match &self.gate {
            Some(gate) => (Some(gate.key.as_str()), gate.incarnation.as_str()),
            None => (None, ""),
        };
        let keys = acquisitions.keys.iter().chain(&releases.keys);
        let call = keys.fold(Call::new(&BATCH), Call::key_words);
        let call = gate
            .into_iter()
            .fold(call, Call::key)
            .argument(acquisitions.count)
            .argument(releases.count)
            .argument(self.floor)
            .argument(incarnation)
            .argument_words(&acquisitions.arguments)
            .argument_words(&releases.arguments);
        let acquisitions = acquisitions.count;
        (call, Layout { acquisitions })
    }
}

impl Part {
    fn add(&mut self, keys: [&[&str]; 2], arguments: &[&str]) -> usize {
        for (words, keys) in self.keys.iter_mut().zip(keys) {
            keys.iter().for_each(|key| words.push(key));
        }
        for argument in arguments {
            self.arguments.push(argument);
        }
        self.count += 1;
        self.count - 1
    }
}

impl Layout {
    /// The reply to one request; `None`: the batch left it undone, or failed.
    pub(crate) fn reply_to(self, number: Number, reply: &Value) -> Option<Value> {
        let at = match number {
            Number::Acquisition(number) => number,
            Number::Release(number) => self.acquisitions + number,
        };
        let Value::Array(replies) = reply else {
            return None;
        };
        replies
            .get(at)
            .filter(|reply| **reply != Value::Nil)
            .cloned()
    }
}

impl Familiarity {
    /// Learns from the reply to a batch.
    pub(crate) fn learn(&mut self, reply: &Value) {
        if let Value::ServerError(error) = reply
            && classify::is_no_script(error)
        {
            self.knows_script = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::script::LEAVE;

    fn acquisition(lock: &str, gate: &[String], incarnation: &str, floor: i64) -> Call {
        Call::new(&ACQUIRE)
            .key("fence")
            .key("queue")
            .key("alive")
            .key(lock)
            .keys(gate)
            .argument("token")
            .argument(30_000)
            .argument(floor)
            .argument("name")
            .argument(incarnation)
    }

    fn release(lock: &str) -> Call {
        let keys = ["queue", "alive", lock].map(str::to_owned);
        Call::new(&RELEASE)
            .keys(&keys)
            .argument("token")
            .argument("name")
    }

    #[test]
    fn the_words_stand_as_the_script_reads_them() {
        let gate = ["gate".to_owned()];
        let mut batch = Batch::default();
        let numbers = [
            batch.push(&release("r")),
            batch.push(&acquisition("a", &gate, "life", 7)),
            batch.push(&acquisition("b", &gate, "life", 5)),
        ];
        let expected = [
            Number::Release(0),
            Number::Acquisition(0),
            Number::Acquisition(1),
        ];
        assert_eq!(numbers, expected.map(Some));
        let (call, layout) = batch.into_call();
        let words: Vec<_> = (0..).map_while(|number| call.word(number)).collect();
        let (keys, arguments) = words.split_at(call.key_count());
        let locks = ["queue", "a", "queue", "b", "fence", "fence"];
        assert_eq!(keys, [&locks[..], &["queue", "r", "gate"]].concat());
        let granted = ["token", "30000", "token", "30000"];
        let all = [&["2", "1", "7", "life"], &granted[..], &["token"]].concat();
        assert_eq!(arguments, all);

        let reply = Value::Array(vec![Value::Int(1), Value::Nil, Value::Int(3)]);
        let replies = expected.map(|number| layout.reply_to(number, &reply));
        assert_eq!(replies, [Some(Value::Int(3)), Some(Value::Int(1)), None]);
    }

    #[test]
    fn what_is_not_simple_goes_alone() {
        let gate = ["gate".to_owned()];
        let mut batch = Batch::default();
        assert!(batch.push(&Call::new(&LEAVE).key("queue")).is_none());
        assert!(batch.push(&release("r").asking(true)).is_none());
        let two_slots = ["b".to_owned()];
        assert!(batch.push(&acquisition("a", &two_slots, "", 0)).is_none());
        assert!(batch.push(&acquisition("a", &gate, "life", 0)).is_some());
        // Of another life of the master.
        assert!(batch.push(&acquisition("a", &gate, "after", 0)).is_none());
        assert!(batch.push(&acquisition("a", &[], "", 0)).is_none());
        assert_eq!(batch.count(), 1);
    }

    #[test]
    fn a_batch_is_bounded() {
        let mut batch = Batch::default();
        while batch.push(&release("r")).is_some() {}
        assert_eq!(batch.count(), MOST);
    }
}
