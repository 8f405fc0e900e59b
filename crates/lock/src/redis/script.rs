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
    ACQUIRE = "constants.lua" "clock.lua" "fence.lua" "queue.lua" "gate.lua" "acquire.lua";
    ADOPT = "constants.lua" "clock.lua" "fence.lua" "gate.lua" "adopt.lua";
    RAISE_FENCE = "constants.lua" "raise_fence.lua";
    RENEW = "constants.lua" "clock.lua" "renew.lua";
    RELEASE = "constants.lua" "clock.lua" "queue.lua" "release.lua";
    BATCH = "constants.lua" "clock.lua" "fence.lua" "gate.lua" "batch.lua";
    LEAVE = "constants.lua" "clock.lua" "queue.lua" "leave.lua";
    GATE_CLAIM = "clock.lua" "gate_claim.lua";
    GATE_OPEN = "clock.lua" "gate_open.lua";
    INSPECT = "clock.lua" "inspect.lua";
    FORCE_RELEASE = "constants.lua" "clock.lua" "fence.lua" "queue.lua" "force_release.lua";
}

#[cfg(feature = "probe")]
scripts! {
    FORGET = "forget.lua";
}

/// How long a called waiter has to take the lock before the next one is called.
pub(crate) const CLAIM: Duration = Duration::from_secs(1);

/// What the channels of all lockers begin with.
pub(crate) const CHANNELS: &str = "leasehold:wake:";

impl Script {
    fn new(source: &'static str) -> Self {
        Self {
            source,
            digest: sha1_smol::Sha1::from(source).digest().to_string(),
        }
    }
}

/// One invocation of a script, which can be sent by digest or whole.
#[derive(Clone)]
pub(crate) struct Call {
    script: &'static Script,
    keys: usize,
    words: Words,
    is_asking: bool,
}

/// Words one after the other: a call is made for each command, so it allocates little.
#[derive(Clone, Default)]
pub(super) struct Words {
    text: String,
    ends: Vec<usize>,
}

impl Words {
    pub(super) fn push(&mut self, word: impl std::fmt::Display) {
        // Writing to a `String` cannot fail.
        let _ = write!(self.text, "{word}");
        self.ends.push(self.text.len());
    }

    fn append(&mut self, others: &Self) {
        let moved = self.text.len();
        self.text.push_str(&others.text);
        self.ends.extend(others.ends.iter().map(|end| end + moved));
    }

    fn get(&self, number: usize) -> Option<&str> {
        let start = match number.checked_sub(1) {
            None => 0,
            Some(before) => *self.ends.get(before)?,
        };
        self.text.get(start..*self.ends.get(number)?)
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, end)| &self.text[start..*end])
    }
}

impl Call {
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

    pub(crate) fn keys(self, keys: &[String]) -> Self {
        keys.iter().fold(self, |call, key| call.key(key))
    }

    pub(super) fn key_words(mut self, keys: &Words) -> Self {
        self.words.append(keys);
        self.keys += keys.ends.len();
        self
    }

    pub(super) fn argument_words(mut self, arguments: &Words) -> Self {
        self.words.append(arguments);
        self
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

    pub(crate) fn is_of(&self, script: &'static LazyLock<Script>) -> bool {
        std::ptr::eq(self.script, &**script)
    }

    /// How many keys it has.
    pub(crate) fn key_count(&self) -> usize {
        self.keys
    }

    /// The key or argument of this number: arguments follow the keys.
    pub(crate) fn word(&self, number: usize) -> Option<&str> {
        self.words.get(number)
    }

    /// The command that names the script by its digest.
    pub(crate) fn by_digest(&self) -> Cmd {
        self.command("EVALSHA", &self.script.digest)
    }

    /// The command that carries the script, for a server which does not know it yet. It loads and
    /// runs in one step, so no failover can come between.
    pub(crate) fn whole(&self) -> Cmd {
        self.command("EVAL", self.script.source)
    }

    fn command(&self, verb: &str, script: &str) -> Cmd {
        let length = verb.len() + script.len() + self.words.text.len() + 8;
        let mut command = Cmd::with_capacity(3 + self.words.ends.len(), length);
        command.arg(verb).arg(script).arg(self.keys);
        for word in self.words.iter() {
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
        let call = Call::new(&RELEASE)
            .key("a queue")
            .keys(&["alive".to_owned(), String::new()])
            .argument("tøken")
            .argument(30_000);
        let packed = String::from_utf8(call.by_digest().get_packed_command()).expect("text");
        let digest = &RELEASE.digest;
        let expected = format!(
            "*8\r\n$7\r\nEVALSHA\r\n$40\r\n{digest}\r\n$1\r\n3\r\n$7\r\na queue\r\n\
             $5\r\nalive\r\n$0\r\n\r\n$6\r\ntøken\r\n$5\r\n30000\r\n"
        );
        assert_eq!(packed, expected);
    }

    #[test]
    fn words_are_found_by_their_number() {
        let call = Call::new(&RELEASE).key("").key("löck").argument(7);
        let words: Vec<_> = (0..4).map(|number| call.word(number)).collect();
        assert_eq!(words, [Some(""), Some("löck"), Some("7"), None]);
    }
}
