//! The commands that a locker sends for one acquisition and release, as the server saw them.
//!
//! The control that marks the limit replays them, so it sends the same scripts with the same
//! arguments whatever the protocol of the day is.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use leasehold::Locker;
use leasehold_testkit::RedisServer;

use crate::{Error, Result};

/// The resource whose commands are recorded.
const RESOURCE: &str = "leasehold-bench-template";

/// The words of each command, of which [`Template::commands`] makes others of the same kind.
#[derive(Debug, Clone)]
pub struct Template {
    commands: Vec<Vec<String>>,
    /// The recorded acquisition's token.
    token: String,
}

/// One word of a command.
#[derive(Debug, Clone)]
pub enum Word {
    /// The same each time.
    Fixed(String),
    /// The token of the acquisition: what precedes its 32 random digits.
    Token(String),
}

impl Template {
    /// Has `locker` acquire and release something, and records the commands.
    ///
    /// # Errors
    ///
    /// When the server does not answer, or was sent no script.
    pub async fn record(server: &RedisServer, locker: &Locker) -> Result<Self> {
        // The first time a server may be sent scripts whole.
        pair(locker).await?;
        let mut monitor = TcpStream::connect(server.address())?;
        monitor.set_read_timeout(Some(Duration::from_millis(500)))?;
        monitor.write_all(b"MONITOR\r\n")?;
        let mut lines = BufReader::new(monitor).lines();
        lines.next().transpose()?;
        pair(locker).await?;
        let commands: Vec<Vec<String>> = lines
            .map_while(Result::ok)
            .filter(|line| line.contains(RESOURCE) && !line.contains(" lua] "))
            .filter_map(|line| Some(words(line.split_once("] ")?.1)))
            .collect();
        let is_token = |word: &&String| {
            let random = word.rsplit_once('/').map(|(_, random)| random);
            random.is_some_and(|random| random.len() == 32)
        };
        let token = commands.iter().flatten().find(is_token).cloned();
        let token = token.ok_or_else(|| Error::from("no token among the recorded commands"))?;
        Ok(Self { commands, token })
    }

    /// The same commands for another resource.
    #[must_use]
    pub fn commands(&self, resource: &str) -> Vec<Vec<Word>> {
        let word = |word: &String| {
            if *word == self.token {
                let owner = word.rsplit_once('/').map_or("", |(owner, _)| owner);
                Word::Token(format!("{owner}/"))
            } else {
                Word::Fixed(word.replace(RESOURCE, resource))
            }
        };
        let command = |words: &Vec<String>| words.iter().map(word).collect();
        self.commands.iter().map(command).collect()
    }
}

async fn pair(locker: &Locker) -> Result<()> {
    locker.acquire(RESOURCE).await?.release().await?;
    Ok(())
}

/// Reads the words of a line of `MONITOR`: each in double quotes, with escapes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (&mut word, character) {
            (None, '"') => word = Some(String::new()),
            (None, _) => {}
            (Some(_), '"') => words.extend(word.take()),
            (Some(text), '\\') => text.extend(characters.next()),
            (Some(text), character) => text.push(character),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monitored_line_is_read_word_by_word() {
        assert_eq!(
            words(r#""EVALSHA" "a\"b" "" "5""#),
            ["EVALSHA", "a\"b", "", "5"]
        );
    }
}
