//! What the sources mention, whether it could be read or not.

use crate::source::Source;
use crate::variables::{self, Variable};

/// The variables each of which names a server.
pub(crate) const SERVER_VARIABLES: [&str; 5] = [
    "REDIS_SENTINEL_HOSTS",
    "REDIS_CLUSTER_NODES",
    "LOCK_REDLOCK_NODES",
    "REDIS_HOST",
    "REDIS_URL",
];

/// A name that shows that somebody configures locking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mention {
    weight: Weight,
    /// `REDIS_HSOT (.env:3)`, or the file that could not be read.
    text: String,
}

/// How much a mention says; the first is told first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Switch,
    Servers,
    Other,
}

impl Mention {
    /// A variable of ours, as it was written.
    pub(crate) fn of(variable: &Variable, written: &str, source: &Source) -> Self {
        Self {
            weight: weight(variable.name),
            text: format!("{written} ({source})"),
        }
    }

    /// An unknown name that looks like one of ours.
    pub(crate) fn lookalike(written: &str, suggestion: Option<&str>, source: &Source) -> Self {
        let known = suggestion.and_then(|text| text.split(" or ").last());
        let known = known.and_then(variables::find);
        Self {
            weight: known.map_or(Weight::Other, |known| weight(known.variable.name)),
            text: format!("{written} ({source})"),
        }
    }

    /// A `.env` file that is there and cannot be read.
    pub(crate) fn unreadable(source: &Source) -> Self {
        Self {
            weight: Weight::Other,
            text: format!("the unreadable {source}"),
        }
    }
}

fn weight(name: &str) -> Weight {
    match name {
        "IS_LOCKING_DISABLED" => Weight::Switch,
        name if SERVER_VARIABLES.contains(&name) => Weight::Servers,
        _ => Weight::Other,
    }
}

/// The most telling mentions as a list for a sentence, each once; `None` if there are none.
pub(crate) fn listed(mentions: &[Mention]) -> Option<String> {
    const MOST: usize = 3;
    let mut mentions: Vec<&Mention> = mentions.iter().collect();
    mentions.sort_by_key(|mention| mention.weight);
    let mut texts: Vec<&str> = Vec::new();
    for mention in mentions {
        if !texts.contains(&mention.text.as_str()) {
            texts.push(&mention.text);
        }
    }
    let more = texts.len().saturating_sub(MOST);
    texts.truncate(MOST);
    match texts.as_slice() {
        [] => None,
        texts if more > 0 => Some(format!("{} and {more} more", texts.join(", "))),
        [only] => Some((*only).to_owned()),
        [first @ .., last] => Some(format!("{} and {last}", first.join(", "))),
    }
}
