//! Entries for fuzzing: files as anybody could write them.
//!
//! Each panics if a promise is broken: whatever is in a file, the answer is a configuration or a list
//! of what is wrong, in text that no terminal obeys and without the password.

use crate::assemble;
use crate::diagnostics::Diagnostics;
use crate::env_file;
use crate::overrides::Overrides;
use crate::resolve;
use crate::source::Source;

/// A password that comes first in every file, and must never be seen again.
const PASSWORD: &str = "correct-horse-battery-staple";

/// The content of an `.env` file, up to a configuration.
pub fn env_file(bytes: &[u8]) {
    let text = format!(
        "REDIS_PASSWORD='{PASSWORD}'\n{}",
        String::from_utf8_lossy(bytes)
    );
    if text.matches(PASSWORD).count() > 1 {
        return;
    }
    let mut diagnostics = Diagnostics::default();
    let layer = env_file::parse(&text, ".env", &mut diagnostics);
    let lines = text.lines().count();
    for entry in &layer.entries {
        let Source::EnvFile { line, .. } = entry.source else {
            panic!(
                "an entry of a file comes from elsewhere: {:?}",
                entry.source
            );
        };
        assert!((1..=lines).contains(&line), "line {line} of {lines}");
    }
    let resolved = resolve::resolve(&[layer], &mut diagnostics);
    match assemble::assemble(resolved, diagnostics, Overrides::default()) {
        Err(error) => {
            told(&error.to_string());
            assert!(!format!("{error:?}").contains(PASSWORD), "{error:?}");
        }
        Ok(config) => {
            for warning in config.warnings() {
                told(&warning.to_string());
            }
            for setting in config.settings() {
                told(setting.value().unwrap_or_default());
                told(&setting.source().to_string());
            }
            assert!(!format!("{config:?}").contains(PASSWORD), "{config:?}");
        }
    }
}

fn told(message: &str) {
    let is_command = |character: char| character.is_control() && character != '\n';
    assert!(!message.contains(is_command), "{message:?}");
    assert!(!message.contains(PASSWORD), "{message:?}");
}
