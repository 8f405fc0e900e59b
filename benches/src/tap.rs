//! The commands that a locker sends for one acquisition and release, as the server saw them.
//!
//! The control that marks the limit replays them, so it sends the same commands with the same
//! arguments, and those of a pipeline in one go, whatever the protocol of the day is.

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::TcpStream;
use std::time::Duration;

use leasehold::Locker;
use leasehold_testkit::RedisServer;

use crate::{Error, Result};

/// The resource whose commands are recorded.
const RESOURCE: &str = "leasehold-bench-template";
/// Between what acquires and what releases.
const MARK: &str = "leasehold-bench-mark";
/// After so long without a command the report has come to its end.
const SILENCE: Duration = Duration::from_millis(500);

/// The words of each command, of which [`Template::requests`] makes others of the same kind.
#[derive(Debug, Clone)]
pub struct Template {
    /// What was sent to acquire, and what to release.
    requests: Vec<Vec<Vec<String>>>,
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

/// Commands that are sent in one go.
pub type Request = Vec<Vec<Word>>;

impl Template {
    /// Has `locker` acquire and release something, and records the commands.
    ///
    /// # Errors
    ///
    /// When the server does not answer, or no lock was set.
    pub async fn record(server: &RedisServer, locker: &Locker) -> Result<Self> {
        // The first time a server may be sent scripts whole, and grants by script.
        locker.acquire(RESOURCE).await?.release().await?;
        let tap = Tap::open(server)?;
        let lease = locker.acquire(RESOURCE).await?;
        tap.mark(server)?;
        lease.release().await?;
        let requests = tap.requests();
        let is_token = |word: &&String| {
            let random = word.rsplit_once('/').map(|(_, random)| random);
            random.is_some_and(|random| random.len() == 32)
        };
        let token = requests.iter().flatten().flatten().find(is_token).cloned();
        let token = token.ok_or_else(|| Error::from("no token among the recorded commands"))?;
        Ok(Self { requests, token })
    }

    /// The same commands for another resource.
    #[must_use]
    pub fn requests(&self, resource: &str) -> Vec<Request> {
        let word = |word: &String| {
            if *word == self.token {
                let owner = word.rsplit_once('/').map_or("", |(owner, _)| owner);
                Word::Token(format!("{owner}/"))
            } else {
                Word::Fixed(word.replace(RESOURCE, resource))
            }
        };
        let command = |words: &Vec<String>| words.iter().map(word).collect();
        let request = |commands: &Vec<_>| commands.iter().map(command).collect();
        self.requests.iter().map(request).collect()
    }
}

/// The server's report of every command that it runs.
struct Tap(Lines<BufReader<TcpStream>>);

impl Tap {
    fn open(server: &RedisServer) -> Result<Self> {
        let mut monitor = TcpStream::connect(server.address())?;
        monitor.set_read_timeout(Some(SILENCE))?;
        monitor.write_all(b"MONITOR\r\n")?;
        let mut lines = BufReader::new(monitor).lines();
        lines.next().transpose()?;
        Ok(Self(lines))
    }

    /// What runs from now on belongs to another request.
    fn mark(&self, server: &RedisServer) -> Result<()> {
        server.command(&["ECHO", MARK])?;
        Ok(())
    }

    /// The commands of the client that used [`RESOURCE`], those in scripts left out, by request.
    fn requests(self) -> Vec<Vec<Vec<String>>> {
        let lines = self.0.map_while(std::result::Result::ok);
        let lines = lines.filter_map(|line| {
            let (head, command) = line.split_once("] ")?;
            let client = head.rsplit_once(' ')?.1.to_owned();
            Some((client, words(command)))
        });
        let lines: Vec<(String, Vec<String>)> = lines.collect();
        let names_it = |words: &[String]| words.iter().any(|word| word.contains(RESOURCE));
        let user = lines
            .iter()
            .find(|(client, words)| client != "lua" && names_it(words));
        let Some((user, _)) = user else {
            return Vec::new();
        };
        let requests = lines.split(|(_, words)| words.last().is_some_and(|word| word == MARK));
        let of_user = |lines: &[(String, Vec<String>)]| {
            let lines = lines.iter().filter(|(client, _)| client == user);
            lines.map(|(_, words)| words.clone()).collect()
        };
        requests.map(of_user).collect()
    }
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
    use crate::controls::bare::{self, Bare};
    use crate::ours;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_bare_crate_sends_what_a_locker_sends() {
        let server = RedisServer::start().expect("redis-server");
        let locker = ours::standalone(&server, &[]).await.expect("a locker");
        let template = Template::record(&server, &locker).await.expect("commands");
        let names: Vec<Vec<&str>> = template
            .requests
            .iter()
            .map(|request| request.iter().map(|words| &*words[0]).collect())
            .collect();
        assert_eq!(names, [vec!["SET", "HINCRBY", "GET"], vec!["EVALSHA"]]);

        let connection = bare::connect(&server).await.expect("a connection");
        let tap = Tap::open(&server).expect("MONITOR");
        let mut bare = Bare::new(&connection, &template, RESOURCE);
        bare.pair().await.expect("a pair");
        let sent = tap.requests().concat();
        let recorded = template.requests.concat();
        let token = sent[0][2].clone();
        let sent = sent.iter().map(|words| {
            let own = |word: &String| {
                if *word == token {
                    &template.token
                } else {
                    word
                }
                .clone()
            };
            words.iter().map(own).collect::<Vec<_>>()
        });
        assert_eq!(sent.collect::<Vec<_>>(), recorded);
    }

    #[test]
    fn a_monitored_line_is_read_word_by_word() {
        assert_eq!(
            words(r#""EVALSHA" "a\"b" "" "5""#),
            ["EVALSHA", "a\"b", "", "5"]
        );
    }
}
