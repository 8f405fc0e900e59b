//! What the tests share: a `.env` file for one test, and looking into a result.
#![allow(dead_code, reason = "each test file uses a part")]

use std::fs;

use leasehold_config::{
    Config, ConfigError, Locking, SentinelTopology, StandaloneTopology, Topology,
};

/// Reads a `.env` file of these bytes and nothing else; sources are shown as `.env:1`.
pub(crate) fn from_file(content: impl AsRef<[u8]>) -> Result<Config, ConfigError> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join(".env");
    fs::write(&path, content).expect("a file in it");
    Config::builder().env_file(path).build()
}

/// The text of an error about a file made by [`from_file`], with the directory left out.
pub(crate) fn message(result: Result<Config, ConfigError>) -> String {
    let text = result.expect_err("a problem").to_string();
    text.lines()
        .map(|line| match line.split_once("from:     /") {
            Some((before, path)) => {
                let name = path.rsplit('/').next().unwrap_or(path);
                format!("{before}from:     {name}\n")
            }
            None => format!("{line}\n"),
        })
        .collect::<String>()
        .trim_end()
        .to_owned()
}

pub(crate) fn from_vars(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_vars(variables.iter().copied())
}

/// With locking enabled, so that only the rest needs to be given.
pub(crate) fn enabled(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let on = [("IS_LOCKING_DISABLED", "false")];
    Config::from_vars(on.into_iter().chain(variables.iter().copied()))
}

/// With locking disabled, so that no servers need to be given.
pub(crate) fn disabled(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let off = [("IS_LOCKING_DISABLED", "true")];
    Config::from_vars(off.into_iter().chain(variables.iter().copied()))
}

pub(crate) fn sentinel(config: &Config) -> &SentinelTopology {
    match &config.locking {
        Locking::Enabled(Topology::Sentinel(topology)) => topology,
        other => panic!("not Sentinel: {other:?}"),
    }
}

pub(crate) fn standalone(config: &Config) -> &StandaloneTopology {
    match &config.locking {
        Locking::Enabled(Topology::Standalone(topology)) => topology,
        other => panic!("not standalone: {other:?}"),
    }
}

pub(crate) fn password(config: &Config) -> Option<&str> {
    let credentials = match &config.locking {
        Locking::Enabled(Topology::Sentinel(topology)) => &topology.nodes.credentials,
        Locking::Enabled(Topology::Standalone(topology)) => &topology.nodes.credentials,
        other => panic!("no credentials: {other:?}"),
    };
    credentials
        .password
        .as_ref()
        .map(leasehold_config::Secret::reveal)
}

pub(crate) fn warnings(config: &Config) -> Vec<String> {
    config
        .warnings()
        .iter()
        .map(|warning| format!("{} {}", warning.variable(), warning.message()))
        .collect()
}

pub(crate) fn setting<'a>(config: &'a Config, name: &str) -> (Option<&'a str>, String) {
    let setting = config.settings().iter().find(|s| s.name() == name);
    let setting = setting.expect("every variable has a setting");
    (setting.value(), setting.source().to_string())
}

/// The one problem's message.
pub(crate) fn problem(result: Result<Config, ConfigError>) -> String {
    let error = result.expect_err("a problem");
    assert_eq!(error.problems().len(), 1, "{error}");
    let problem = &error.problems()[0];
    format!("{} {}", problem.variable(), problem.message())
}
