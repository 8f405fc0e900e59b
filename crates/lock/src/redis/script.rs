//! The Lua scripts: one file each, sent whole once per server and by their digest afterwards.

use std::sync::LazyLock;

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
    ACQUIRE = "queue.lua" "acquire.lua";
    ADOPT = "adopt.lua";
    RAISE_FENCE = "raise_fence.lua";
    RENEW = "renew.lua";
    RELEASE = "queue.lua" "release.lua";
    LEAVE = "queue.lua" "leave.lua";
    GATE_CLAIM = "gate_claim.lua";
    GATE_OPEN = "gate_open.lua";
    INSPECT = "inspect.lua";
    FORCE_RELEASE = "queue.lua" "force_release.lua";
}

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
    keys: Vec<String>,
    arguments: Vec<String>,
    is_asking: bool,
}

impl Call {
    pub(crate) fn new(script: &'static LazyLock<Script>) -> Self {
        Self {
            script,
            keys: Vec::new(),
            arguments: Vec::new(),
            is_asking: false,
        }
    }

    pub(crate) fn key(mut self, key: &str) -> Self {
        self.keys.push(key.to_owned());
        self
    }

    pub(crate) fn keys(mut self, keys: &[String]) -> Self {
        self.keys.extend_from_slice(keys);
        self
    }

    pub(crate) fn argument(mut self, argument: impl std::fmt::Display) -> Self {
        self.arguments.push(argument.to_string());
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
        let mut command = redis::cmd(verb);
        command
            .arg(script)
            .arg(self.keys.len())
            .arg(&self.keys)
            .arg(&self.arguments);
        command
    }
}
