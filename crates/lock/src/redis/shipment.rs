//! Many scripts in one pipeline, as few commands as they can be.

use redis::{Pipeline, Value};

use super::batch::{Batch, Familiarity, Layout, Number};
use super::classify;
use super::invocation::Invocation;
use super::script;

/// How scripts are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// In batches as far as they can be.
    Together,
    ByDigest,
    Whole,
}

impl Manner {
    /// How to send again what `answers` leave unanswered. A server that does not know one script is
    /// told all of them.
    pub(crate) fn after(self, answers: &[Option<Value>]) -> Option<Self> {
        let mut errors = answers.iter().flatten().filter_map(|answer| match answer {
            Value::ServerError(error) => Some(error),
            _ => None,
        });
        let is_unknown = errors.any(classify::is_no_script);
        match self {
            Self::Whole => None,
            _ if is_unknown => Some(Self::Whole),
            Self::Together => Some(Self::ByDigest),
            Self::ByDigest => Some(Self::Whole),
        }
    }
}

/// The commands, and where the reply to each script will be.
pub(crate) struct Shipment {
    pub(crate) commands: Pipeline,
    places: Vec<Place>,
    /// The command that each batch became.
    batches: Vec<(usize, Layout)>,
}

enum Place {
    Command(usize),
    InBatch(usize, Number),
}

impl Shipment {
    pub(crate) fn new<'a>(
        calls: impl Iterator<Item = &'a Invocation>,
        manner: Manner,
        server: &mut Familiarity,
    ) -> Self {
        let mut shipment = Self {
            commands: redis::pipe(),
            places: Vec::new(),
            batches: Vec::new(),
        };
        let mut batch = Batch::default();
        for call in calls {
            if batch.is_full() {
                shipment.add_batch(std::mem::take(&mut batch), server);
            }
            let number = (manner == Manner::Together).then(|| batch.push(call));
            let place = match number.flatten() {
                Some(number) => Place::InBatch(shipment.batches.len(), number),
                None => shipment.add(call, manner),
            };
            shipment.places.push(place);
        }
        if batch.count() > 0 {
            shipment.add_batch(batch, server);
        }
        shipment
    }

    fn add(&mut self, call: &Invocation, manner: Manner) -> Place {
        self.commands.add_command(call.command(match manner {
            Manner::Together | Manner::ByDigest => script::Manner::ByDigest,
            Manner::Whole => script::Manner::Whole,
        }));
        Place::Command(self.commands.len() - 1)
    }

    fn add_batch(&mut self, batch: Batch, server: &mut Familiarity) {
        let (command, layout) = batch.into_command(server);
        self.batches.push((self.commands.len(), layout));
        self.commands.add_command(command);
    }

    /// The reply to each script in their order; `None`: its batch left it undone, or failed.
    pub(crate) fn answers(
        &self,
        replies: &[Value],
        server: &mut Familiarity,
    ) -> Vec<Option<Value>> {
        for (command, _) in &self.batches {
            if let Some(reply) = replies.get(*command) {
                server.learn(reply);
            }
        }
        let answer = |place: &Place| match *place {
            Place::Command(command) => replies.get(command).cloned(),
            Place::InBatch(batch, number) => {
                let (command, layout) = *self.batches.get(batch)?;
                layout.reply_to(number, replies.get(command)?)
            }
        };
        self.places.iter().map(answer).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::redis::invocation::Release;
    use crate::redis::script::{Call, LEAVE};
    use crate::resource::{Keys, Resource};
    use crate::token::Token;

    fn release(lock: usize) -> Invocation {
        let resource = Resource::new(lock.to_string()).expect("a name");
        Invocation::from(Release {
            keys: Arc::new(Keys::new("", &resource).expect("a name")),
            slot: Some(0),
            token: Token::from_stored("token"),
            is_asking: false,
        })
    }

    #[test]
    fn each_script_gets_its_own_reply() {
        let mut calls: Vec<Invocation> = (0..100).map(release).collect();
        calls.insert(3, Call::new(&LEAVE).key("queue").into());
        let mut server = Familiarity::default();
        let shipment = Shipment::new(calls.iter(), Manner::Together, &mut server);
        // One that cannot be in a batch, a full batch, and the rest.
        assert_eq!(shipment.commands.len(), 3);
        // The first item of a batch's reply belongs to none.
        let batch = |locks: std::ops::Range<i64>| {
            Value::Array([-1].into_iter().chain(locks).map(Value::Int).collect())
        };
        let replies = [Value::Okay, batch(0..64), batch(64..99)];
        let mut answers = shipment.answers(&replies, &mut server);
        assert_eq!(answers.remove(3), Some(Value::Okay));
        assert_eq!(answers.pop(), Some(None), "the last reply is missing");
        let expected = (0..99).map(|lock| Some(Value::Array(vec![Value::Int(lock)])));
        assert!(answers.into_iter().eq(expected));
    }

    #[test]
    fn a_server_that_does_not_know_a_script_is_told_at_once() {
        let unknown = "-NOSCRIPT No matching script.\r\n";
        let unknown = redis::parse_redis_value(unknown.as_bytes()).expect("a reply");
        let (left, unknown) = ([Some(Value::Okay), None], [None, Some(unknown)]);
        assert_eq!(Manner::Together.after(&left), Some(Manner::ByDigest));
        assert_eq!(Manner::ByDigest.after(&left), Some(Manner::Whole));
        for manner in [Manner::Together, Manner::ByDigest] {
            assert_eq!(manner.after(&unknown), Some(Manner::Whole));
        }
        assert_eq!(Manner::Whole.after(&unknown), None);
    }

    #[test]
    fn alone_each_script_is_a_command() {
        let calls: Vec<Invocation> = (0..3).map(release).collect();
        for manner in [Manner::ByDigest, Manner::Whole] {
            let shipment = Shipment::new(calls.iter(), manner, &mut Familiarity::default());
            assert_eq!(shipment.commands.len(), 3);
        }
    }
}
