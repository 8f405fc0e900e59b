//! `docs/cli.md` tells the truth: every command in it is run as it stands, and prints what it says.

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::Failure;
use leasehold_testkit::{ChildProcess, RedisServer};

/// Stands for any lines.
const LEFT_OUT: &str = "…";

/// Printed behind the output of each command.
const END: &str = "@@end@@";

struct Example {
    command: String,
    printed: Vec<String>,
}

/// The commands of all `console` blocks, with what they are said to print.
fn examples(text: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let blocks = text.split("```console\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap_or_default());
    for line in blocks.flat_map(str::lines) {
        match (line.strip_prefix("$ "), found.last_mut()) {
            (Some(command), _) => found.push(Example {
                command: command.to_owned(),
                printed: Vec::new(),
            }),
            (None, Some(example)) => example.printed.push(line.to_owned()),
            (None, None) => panic!("output before the first command: {line}"),
        }
    }
    found
}

/// A line without what differs from run to run: numbers, durations, identifiers, widths of columns.
/// Exit codes stay.
fn normalised(line: &str) -> String {
    if line.starts_with("code ") {
        return line.to_owned();
    }
    let mut text = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let hexadecimal = rest.len()
            - rest
                .trim_start_matches(|c: char| c.is_ascii_hexdigit())
                .len();
        let number = rest.len()
            - rest
                .trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
                .len();
        if hexadecimal >= 16 {
            text.push('#');
            rest = &rest[hexadecimal..];
        } else if first.is_ascii_digit() {
            text.push('#');
            rest = without_unit(&rest[number..]);
        } else {
            text.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn without_unit(rest: &str) -> &str {
    let units = ["µs", "ms", "s", "m", "h"];
    let after = units.iter().find_map(|unit| rest.strip_prefix(unit));
    after
        .filter(|after| !after.starts_with(char::is_alphanumeric))
        .unwrap_or(rest)
}

/// Whether lines are those that were expected, of which some may be left out.
fn matches(expected: &[String], printed: &[String]) -> bool {
    match expected.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == LEFT_OUT => {
            (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..]))
        }
        Some((first, rest)) => printed
            .split_first()
            .is_some_and(|(line, others)| line == first && matches(rest, others)),
    }
}

/// What each command prints, one after the other in one shell.
fn run_all(examples: &[Example], directory: &Path) -> Result<Vec<String>, Failure> {
    let mut script = "exec 2>&1 < /dev/null\n".to_owned();
    for example in examples {
        script.push_str(&format!("{}\nprintf '\\n{END}\\n'\n", example.command));
    }
    let program = Path::new(env!("CARGO_BIN_EXE_leasehold"));
    let programs = program.parent().ok_or("no directory")?.display();
    let path = std::env::var("PATH")?;
    let mut shell: Command = ChildProcess::command("bash");
    shell
        .args(["-c", &script])
        .current_dir(directory)
        .env_clear()
        .env("PATH", format!("{programs}:{path}"))
        .stdin(Stdio::null());
    let output = shell.output()?;
    let text = String::from_utf8(output.stdout)?;
    let end = format!("\n{END}\n");
    Ok(text.split(&end).map(str::to_owned).collect())
}

#[test]
fn every_command_prints_what_is_said() -> Result<(), Failure> {
    let text = include_str!("../../../docs/cli.md");
    let examples = examples(text);
    assert!(examples.len() > 30, "{} examples", examples.len());
    let server = RedisServer::start()?;
    let directory = tempfile::tempdir()?;
    let file = format!(
        "IS_LOCKING_DISABLED=false\nREDIS_HOST=127.0.0.1\nREDIS_PORT={}\nLOCK_OWNER=worker-1\n",
        server.port()
    );
    std::fs::write(directory.path().join(".env"), file)?;
    let printed = run_all(&examples, directory.path())?;
    assert_eq!(printed.len(), examples.len() + 1, "{printed:#?}");
    let lines = |lines: &mut dyn Iterator<Item = &str>| -> Vec<String> {
        let lines = lines.map(normalised);
        lines.filter(|line| !line.is_empty()).collect()
    };
    for (example, printed) in examples.iter().zip(&printed) {
        let expected = lines(&mut example.printed.iter().map(String::as_str));
        assert!(
            matches(&expected, &lines(&mut printed.lines())),
            "$ {}\n{printed}",
            example.command
        );
    }
    Ok(())
}

#[test]
fn every_subcommand_is_in_the_documentation() -> Result<(), Failure> {
    let text = include_str!("../../../docs/cli.md");
    let help = Command::new(env!("CARGO_BIN_EXE_leasehold"))
        .arg("--help")
        .output()?;
    let help = String::from_utf8(help.stdout)?;
    let (_, commands) = help.split_once("Commands:\n").ok_or("no commands")?;
    let names = commands.lines().take_while(|line| !line.is_empty());
    let names: Vec<&str> = names
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.contains(&"run") && names.len() > 10, "{names:?}");
    for name in names.into_iter().filter(|name| *name != "help") {
        let run = |example: &Example| example.command.contains(&format!("leasehold {name}"));
        assert!(examples(text).iter().any(run), "no example of {name}");
    }
    Ok(())
}

#[test]
fn what_differs_from_run_to_run_is_left_out_and_nothing_else() {
    assert_eq!(normalised("held for   1.4s"), "held for #");
    assert_eq!(normalised("id 6b332056aed5eb75, 12µs"), "id #, #");
    assert_eq!(normalised("a 950ms slots"), "a # slots");
    assert_eq!(normalised("code 75"), "code 75");
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(matches(&lines("a\n…\nc"), &lines("a\nb\nb\nc")));
    assert!(!matches(&lines("a\n…\nc"), &lines("a\nb\nd")));
    assert!(!matches(&lines("a"), &lines("a\nb")));
}
