//! The words after a command's name.

use std::fmt;
use std::str::FromStr;

/// Words that are taken out one option at a time; what is left at the end was not understood.
#[derive(Debug)]
pub(crate) struct Arguments {
    words: Vec<String>,
}

/// The words do not fit the command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misuse(String);

impl Misuse {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misuse {}

impl Arguments {
    pub(crate) fn new(words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            words: words.into_iter().map(Into::into).collect(),
        }
    }

    /// Takes an option without a value.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.words.len();
        self.words.retain(|word| word != name);
        self.words.len() < before
    }

    /// Takes an option with a value, written `--name value` or `--name=value`.
    pub(crate) fn value<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, Misuse> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|_| Misuse(format!("{name} does not take {text:?}")))
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, Misuse> {
        let start = format!("{name}=");
        if let Some(at) = self.words.iter().position(|word| word.starts_with(&start)) {
            return Ok(Some(self.words.remove(at)[start.len()..].to_owned()));
        }
        let Some(at) = self.words.iter().position(|word| word == name) else {
            return Ok(None);
        };
        self.words.remove(at);
        if at == self.words.len() {
            return Err(Misuse(format!("{name} needs a value")));
        }
        Ok(Some(self.words.remove(at)))
    }

    /// Fails if anything is left.
    pub(crate) fn finish(self) -> Result<(), Misuse> {
        match self.words.first() {
            None => Ok(()),
            Some(word) => Err(Misuse(format!("{word:?} was not understood"))),
        }
    }

    /// Everything that is left, for a program that this command runs.
    pub(crate) fn rest(self) -> Vec<String> {
        self.words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_taken_wherever_they_stand() {
        let mut arguments = Arguments::new(["--seconds", "7", "--json", "--svg=a.svg"]);
        assert!(arguments.flag("--json") && !arguments.flag("--json"));
        assert_eq!(arguments.value("--svg"), Ok(Some("a.svg".to_owned())));
        assert_eq!(arguments.value("--seconds"), Ok(Some(7)));
        assert_eq!(arguments.value::<u64>("--seconds"), Ok(None));
        assert_eq!(arguments.finish(), Ok(()));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let mut arguments = Arguments::new(["--jsno", "--seconds", "soon"]);
        let misuse = arguments.value::<u64>("--seconds").expect_err("no number");
        assert_eq!(misuse.to_string(), "--seconds does not take \"soon\"");
        let misuse = arguments.finish().expect_err("a leftover");
        assert_eq!(misuse.to_string(), "\"--jsno\" was not understood");
        let misuse = Arguments::new(["--svg"]).value::<String>("--svg");
        assert_eq!(
            misuse.expect_err("no value").to_string(),
            "--svg needs a value"
        );
    }
}
