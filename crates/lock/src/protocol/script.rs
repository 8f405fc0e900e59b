//! The Lua scripts: one file each, sent whole once per server and by their digest afterwards.

use std::fmt::Write;
use std::sync::LazyLock;
use std::time::Duration;

use redis::Cmd;

/// One script of the protocol.
pub(crate) struct Script {
    source: &'static str,
    digest: String,
}

macro_rules! scripts {
    ($($name:ident = $($file:literal)+;)*) => {
        $(pub(crate) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!($(include_str!(concat!("scripts/", $file))),+)));)*
    };
}

scripts! {
    ACQUIRE = "constants.lua" "clock.lua" "fence.lua" "queue.lua" "enter.lua" "gate.lua" "acquire.lua";
    ADOPT = "clock.lua" "fence.lua" "gate.lua" "adopt.lua";
    GIVE_BACK = "give_back.lua";
    RAISE_FENCE = "raise_fence.lua";
    RENEW = "clock.lua" "renew.lua";
    RELEASE = "release.lua" "constants.lua" "clock.lua" "queue.lua" "call_waiter.lua";
    LEAVE = "constants.lua" "clock.lua" "queue.lua" "leave.lua";
    GATE_CLAIM = "clock.lua" "gate_claim.lua";
    GATE_OPEN = "clock.lua" "gate_open.lua";
    LOOK = "clock.lua" "look.lua";
    INSPECT = "inspect.lua";
    FORCE_RELEASE = "constants.lua" "clock.lua" "fence.lua" "queue.lua" "force_release.lua";
}

/// How long a called waiter has to take the lock before the next one is called.
pub(crate) const CLAIM: Duration = Duration::from_secs(1);

/// What the channels of all lockers begin with.
pub(crate) const CHANNELS: &str = "leasehold:wake:";

/// How a script is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    ByDigest,
    /// For a server that does not know it yet. It loads and runs in one step, so no failover can come
    /// between.
    Whole,
}

impl Script {
    fn new(source: &'static str) -> Self {
        Self {
            source,
            digest: sha1_smol::Sha1::from(source).digest().to_string(),
        }
    }

    /// The beginning of a command, with room for a number of keys and of bytes of arguments.
    pub(crate) fn command(&self, manner: Manner, words: usize, bytes: usize) -> Cmd {
        let (verb, script) = match manner {
            Manner::ByDigest => ("EVALSHA", self.digest.as_str()),
            Manner::Whole => ("EVAL", self.source),
        };
        let mut command = Cmd::with_capacity(2 + words, verb.len() + script.len() + bytes);
        command.arg(verb).arg(script);
        command
    }
}

/// A script with its keys and arguments.
#[derive(Clone)]
pub(crate) struct ScriptCall {
    script: &'static Script,
    keys: usize,
    words: Words,
    is_asking: bool,
}

/// Words one after the other: a call is made for each command, so it allocates little.
#[derive(Clone)]
struct Words {
    text: String,
    ends: Vec<usize>,
}

impl Words {
    fn push(&mut self, word: impl std::fmt::Display) {
        // Writing to a `String` cannot fail.
        let _ = write!(self.text, "{word}");
        self.ends.push(self.text.len());
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, end)| &self.text[start..*end])
    }
}

impl ScriptCall {
    /// Without keys or arguments yet; the keys come first.
    pub(crate) fn new(script: &'static LazyLock<Script>) -> Self {
        Self {
            script,
            keys: 0,
            words: Words {
                text: String::with_capacity(256),
                ends: Vec::with_capacity(12),
            },
            is_asking: false,
        }
    }

    pub(crate) fn key(mut self, key: &str) -> Self {
        debug_assert_eq!(self.keys, self.words.ends.len(), "the keys come first");
        self.words.push(key);
        self.keys += 1;
        self
    }

    pub(crate) fn keys(self, keys: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        keys.into_iter()
            .fold(self, |call, key| call.key(key.as_ref()))
    }

    pub(crate) fn argument(mut self, argument: impl std::fmt::Display) -> Self {
        self.words.push(argument);
        self
    }

    /// Whether the node is to serve a slot that it is only importing.
    pub(crate) fn asking(mut self, is_asking: bool) -> Self {
        self.is_asking = is_asking;
        self
    }

    pub(crate) fn is_asking(&self) -> bool {
        self.is_asking
    }

    pub(crate) fn command(&self, manner: Manner) -> Cmd {
        let words = &self.words;
        let mut command = (self.script).command(manner, 1 + words.ends.len(), words.text.len());
        command.arg(self.keys);
        for word in words.iter() {
            command.arg(word);
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_and_the_sdk_agree_on_the_constants() {
        let constants = include_str!("scripts/constants.lua");
        for line in [
            format!("local CLAIM_MS = {}\n", CLAIM.as_millis()),
            format!("local CHANNELS = '{CHANNELS}'\n"),
        ] {
            assert!(constants.contains(&line), "{line}");
        }
    }

    #[test]
    fn a_command_has_its_keys_and_arguments_word_by_word() {
        let call = ScriptCall::new(&RELEASE)
            .key("a queue")
            .keys(&["alive".to_owned(), String::new()])
            .argument("tøken")
            .argument(30_000);
        let packed =
            String::from_utf8(call.command(Manner::ByDigest).get_packed_command()).expect("text");
        let digest = &RELEASE.digest;
        let expected = format!(
            "*8\r\n$7\r\nEVALSHA\r\n$40\r\n{digest}\r\n$1\r\n3\r\n$7\r\na queue\r\n\
             $5\r\nalive\r\n$0\r\n\r\n$6\r\ntøken\r\n$5\r\n30000\r\n"
        );
        assert_eq!(packed, expected);
    }
}
