//! A batch: simple acquisitions and releases that the server answers in one go.
//!
//! `batch.lua` grants what nobody holds or waits for, and releases what nobody waits for; the rest is
//! sent alone. So a batch is an attempt to be quick, and its requests lose nothing by being in one.

use redis::{Cmd, Value};

use super::classify;
use super::invocation::{Acquire, GatePass, Invocation, Release, add_all, milliseconds};
use super::script::{BATCH, Manner};

/// The most requests in one batch: while it runs, the server serves nobody else.
const MOST: usize = 64;

/// The requests of one batch.
#[derive(Default)]
pub(crate) struct Batch {
    acquisitions: Vec<Acquire>,
    releases: Vec<Release>,
}

/// Where the reply to one request is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    Acquisition(usize),
    Release(usize),
}

/// Where the replies of a batch are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Layout {
    /// The reply is that of the only request.
    Alone,
    /// The replies to so many acquisitions come first.
    Together { acquisitions: usize },
}

/// Whether the server was sent the script over a connection.
#[derive(Debug, Default)]
pub(crate) struct Familiarity {
    knows_script: bool,
}

impl Batch {
    /// Takes a request in, unless it is none that a batch can serve, or cannot be with those that are
    /// in it already.
    pub(crate) fn push(&mut self, request: &Invocation) -> Option<Number> {
        if request.is_asking() || self.is_full() {
            return None;
        }
        match request {
            Invocation::Acquire(acquire) => self.acquire(acquire),
            Invocation::Release(release) => self.release(release),
            Invocation::Other(_) => None,
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.acquisitions.len() + self.releases.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count() >= MOST
    }

    fn acquire(&mut self, acquire: &Acquire) -> Option<Number> {
        let other = self.acquisitions.first();
        if !acquire.is_for_one() || other.is_some_and(|other| other.gate != acquire.gate) {
            return None;
        }
        self.acquisitions.push(acquire.clone());
        Some(Number::Acquisition(self.acquisitions.len() - 1))
    }

    fn release(&mut self, release: &Release) -> Option<Number> {
        if !release.is_for_one() {
            return None;
        }
        self.releases.push(release.clone());
        Some(Number::Release(self.releases.len() - 1))
    }

    /// The one command for all, and where the replies are. One request needs no batch.
    pub(crate) fn into_command(self, server: &mut Familiarity) -> (Cmd, Layout) {
        match (&self.acquisitions[..], &self.releases[..]) {
            ([acquire], []) => return (acquire.command(Manner::ByDigest), Layout::Alone),
            ([], [release]) => return (release.command(Manner::ByDigest), Layout::Alone),
            _ => {}
        }
        let manner = if std::mem::replace(&mut server.knows_script, true) {
            Manner::ByDigest
        } else {
            Manner::Whole
        };
        let layout = Layout::Together {
            acquisitions: self.acquisitions.len(),
        };
        (self.command(manner), layout)
    }

    /// For the order of the words see `batch.lua`.
    fn command(&self, manner: Manner) -> Cmd {
        let (acquisitions, releases) = (&self.acquisitions, &self.releases);
        let first = acquisitions.first();
        let (gate, incarnation) = match first.and_then(|first| first.gate.as_ref()) {
            Some(GatePass { key, incarnation }) => (Some(&**key), &**incarnation),
            None => (None, ""),
        };
        let floor = acquisitions.iter().map(|acquire| acquire.floor).max();
        let keys = 3 * acquisitions.len() + 2 * releases.len() + usize::from(gate.is_some());
        let words = 5 + keys + 2 * acquisitions.len() + releases.len();
        let mut command = BATCH.command(manner, words, 48 * words);
        command.arg(keys);
        for Acquire { keys, slot, .. } in acquisitions {
            command.arg(&keys.queue);
            add_all(&mut command, keys.locks_of(*slot));
        }
        for Acquire { keys, .. } in acquisitions {
            command.arg(&keys.fence);
        }
        for Release { keys, .. } in releases {
            command.arg(&keys.queue);
        }
        for Release { keys, slot, .. } in releases {
            add_all(&mut command, keys.locks_of(*slot));
        }
        command
            .arg(gate)
            .arg(acquisitions.len())
            .arg(releases.len())
            .arg(floor.unwrap_or_default())
            .arg(incarnation);
        for Acquire { token, ttl, .. } in acquisitions {
            command.arg(token.reveal()).arg(milliseconds(*ttl));
        }
        for Release { token, .. } in releases {
            command.arg(token.reveal());
        }
        command
    }
}

impl Layout {
    /// The reply that the request's own script would have given; `None`: the batch left it undone, or
    /// failed.
    pub(crate) fn reply_to(self, number: Number, reply: &Value) -> Option<Value> {
        let (acquisitions, replies) = match (self, reply) {
            (Self::Alone, reply) => return Some(reply.clone()),
            (Self::Together { acquisitions }, Value::Array(replies)) => (acquisitions, replies),
            _ => return None,
        };
        let (syncs, replies) = replies.split_first()?;
        let of_request = |number: usize| replies.get(number).filter(|reply| **reply != Value::Nil);
        Some(Value::Array(match number {
            Number::Acquisition(number) => {
                let fence = of_request(number)?.clone();
                vec![Value::Int(1), fence, Value::Int(0), syncs.clone()]
            }
            Number::Release(number) => vec![of_request(acquisitions + number)?.clone()],
        }))
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
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::redis::script::{Call, LEAVE};
    use crate::resource::{Keys, Resource};
    use crate::token::Token;

    fn keys(name: &str) -> Arc<Keys> {
        let resource = Resource::new(name).expect("a name");
        Arc::new(Keys::new("", &resource).expect("a name"))
    }

    fn acquisition(name: &str, incarnation: Option<&str>, floor: i64) -> Acquire {
        Acquire {
            keys: keys(name),
            slot: Some(0),
            token: Token::from_stored("token"),
            ttl: Duration::from_secs(30),
            floor,
            gate: incarnation.map(|incarnation| GatePass {
                key: "gate".into(),
                incarnation: incarnation.into(),
            }),
            waiter: None,
            is_asking: false,
        }
    }

    fn release(name: &str) -> Release {
        Release {
            keys: keys(name),
            slot: Some(0),
            token: Token::from_stored("token"),
            is_asking: false,
        }
    }

    fn words(command: &Cmd) -> Vec<String> {
        let words = command.args_iter().map(|word| match word {
            redis::Arg::Simple(word) => String::from_utf8_lossy(word).into_owned(),
            _ => String::new(),
        });
        words.collect()
    }

    #[test]
    fn the_words_stand_as_the_script_reads_them() {
        let mut batch = Batch::default();
        let numbers = [
            batch.push(&release("r").into()),
            batch.push(&acquisition("a", Some("life"), 7).into()),
            batch.push(&acquisition("b", Some("life"), 5).into()),
        ];
        let expected = [
            Number::Release(0),
            Number::Acquisition(0),
            Number::Acquisition(1),
        ];
        assert_eq!(numbers, expected.map(Some));
        let mut server = Familiarity::default();
        let (command, layout) = batch.into_command(&mut server);
        let words = words(&command);
        assert_eq!([&words[0], &words[2]], ["EVAL", "9"]);
        let (keys, arguments) = words[3..].split_at(9);
        let locks = ["{a}:queue", "a", "{b}:queue", "b", "{a}:fence", "{b}:fence"];
        assert_eq!(keys, [&locks[..], &["{r}:queue", "r", "gate"]].concat());
        let granted = ["token", "30000", "token", "30000"];
        let all = [&["2", "1", "7", "life"], &granted[..], &["token"]].concat();
        assert_eq!(arguments, all);

        let ints = |ints: &[i64]| Value::Array(ints.iter().copied().map(Value::Int).collect());
        let reply = Value::Array(vec![
            Value::Int(4),
            Value::Int(1_700),
            Value::Nil,
            Value::Int(1),
        ]);
        let replies = expected.map(|number| layout.reply_to(number, &reply));
        assert_eq!(
            replies,
            [Some(ints(&[1])), Some(ints(&[1, 1_700, 0, 4])), None]
        );
    }

    #[test]
    fn one_request_is_sent_as_it_is() {
        let mut batch = Batch::default();
        let number = batch.push(&release("r").into()).expect("a place");
        let (command, layout) = batch.into_command(&mut Familiarity::default());
        let alone = release("r").command(Manner::ByDigest);
        assert_eq!(words(&command), words(&alone));
        let reply = Value::Array(vec![Value::Int(0)]);
        assert_eq!(layout.reply_to(number, &reply), Some(reply));
    }

    #[test]
    fn what_is_not_simple_goes_alone() {
        let mut batch = Batch::default();
        let leaving = Call::new(&LEAVE).key("queue");
        assert!(batch.push(&leaving.into()).is_none());
        let asking = Release {
            is_asking: true,
            ..release("r")
        };
        assert!(batch.push(&asking.into()).is_none());
        let two = Keys::slots("", &Resource::new("s").expect("a name"), 2);
        let two_slots = Acquire {
            keys: Arc::new(two),
            slot: None,
            ..acquisition("a", None, 0)
        };
        assert!(batch.push(&two_slots.into()).is_none());
        let acquisition = |incarnation| acquisition("a", incarnation, 0).into();
        assert!(batch.push(&acquisition(Some("life"))).is_some());
        // Of another life of the master.
        assert!(batch.push(&acquisition(Some("after"))).is_none());
        assert!(batch.push(&acquisition(None)).is_none());
        assert_eq!(batch.count(), 1);
    }

    #[test]
    fn a_batch_is_bounded() {
        let mut batch = Batch::default();
        let request = release("r").into();
        while batch.push(&request).is_some() {}
        assert_eq!(batch.count(), MOST);
    }
}
