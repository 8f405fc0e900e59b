//! A hundred inputs, each read by a program of its own as an application reads it: `.env` in the working
//! directory and the environment. `docs/configuration-inputs.md` lists how each ends.

mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use leasehold_config::{Config, Locking};
use table::{Expected, File, GROUPS, Input};

/// Set to write the page instead of comparing it.
const WRITE: &str = "LEASEHOLD_WRITE_DOCS";

/// Before what a child reports, as the test harness prints to the same stream.
const OUTCOME: &str = "OUTCOME ";

/// Not a test: what the children run. They report how the program would run, and the first line that it would print.
#[test]
#[ignore = "run by the other tests, in a directory and an environment of their making"]
fn child() {
    let (outcome, message) = match Config::from_env() {
        Ok(config) => {
            let outcome = match config.locking {
                Locking::Enabled(_) => "enabled",
                Locking::Disabled => "disabled",
            };
            let warning = config.warnings().first();
            (
                outcome,
                warning.map(ToString::to_string).unwrap_or_default(),
            )
        }
        Err(error) => {
            let problem = &error.problems()[0];
            let problem = format!("{} {}", problem.variable(), problem.message());
            let noticed = error
                .warnings()
                .first()
                .map(|w| format!("; also noticed: {w}"));
            let text = format!("{error} {error:?}");
            assert!(
                !text.contains("hunter2") && !text.contains("MIIB"),
                "{text}"
            );
            let more = match error.problems().len() - 1 {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            ("error", problem + &more + &noticed.unwrap_or_default())
        }
    };
    println!("\n{OUTCOME}{outcome} {message}");
}

/// The inputs of one heading, each with its outcome.
type Group = (&'static str, Vec<(&'static Input, Outcome)>);

/// How one input ended: one word, and the first line that the program would print.
struct Outcome {
    word: String,
    message: String,
}

fn outcome(input: &Input) -> Outcome {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(".env");
    match input.file {
        File::Absent => {}
        File::Text(text) => fs::write(&path, text).expect("a file"),
        File::Utf16 { is_marked } => fs::write(&path, wide(is_marked)).expect("a file"),
        File::Directory => fs::create_dir(&path).expect("a directory"),
        File::Dangling => {
            std::os::unix::fs::symlink("nowhere", &path).expect("a link");
        }
        File::Pipe => {
            let status = Command::new("mkfifo").arg(&path).status();
            assert!(status.expect("mkfifo").success());
        }
    }
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env_clear()
        .envs(input.environment.iter().copied())
        .current_dir(directory.path())
        .output()
        .expect("a child process");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let line = text.lines().find_map(|line| line.strip_prefix(OUTCOME));
    let (word, message) = line.expect("a report").split_once(' ').expect("two parts");
    Outcome {
        word: word.to_owned(),
        message: message.to_owned(),
    }
}

fn wide(is_marked: bool) -> Vec<u8> {
    let mark = is_marked.then_some('\u{feff}');
    let text: String = mark.into_iter().chain(table::WIDE.chars()).collect();
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Every input with its outcome, read once for all tests.
fn outcomes() -> &'static [Group] {
    static OUTCOMES: OnceLock<Vec<Group>> = OnceLock::new();
    OUTCOMES.get_or_init(|| {
        let groups = GROUPS.iter();
        let read = |inputs: &'static [Input]| inputs.iter().map(|i| (i, outcome(i))).collect();
        groups
            .map(|(heading, inputs)| (*heading, read(inputs)))
            .collect()
    })
}

fn all() -> impl Iterator<Item = &'static (&'static Input, Outcome)> {
    outcomes().iter().flat_map(|(_, inputs)| inputs)
}

#[test]
fn there_are_a_hundred_inputs() {
    assert!(all().count() >= 100, "{}", all().count());
}

#[test]
fn each_input_ends_as_expected() {
    let mut wrong = Vec::new();
    for (input, outcome) in all() {
        let expected = match input.expected {
            Expected::Enabled => "enabled",
            Expected::SwitchedOff | Expected::NothingConfigured => "disabled",
            Expected::Error => "error",
        };
        if outcome.word != expected {
            let (word, message) = (&outcome.word, &outcome.message);
            wrong.push(format!(
                "{}: {word}, not {expected}: {message}",
                shown(input)
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Names of other programs, and the one that only says where to look.
const NOT_CONFIGURATION: [&str; 5] = [
    "LOCK_DIR",
    "LOCK_ENV_FILE",
    "REDIS_SERVICE_HOST",
    "REDIS_PORT",
    "REDIS_PORT_6379_TCP_ADDR",
];

/// What an input sets is found here without the reader.
#[test]
fn no_input_runs_without_locks_unless_the_switch_is_true_or_nothing_is_configured() {
    for (input, _) in all().filter(|(_, outcome)| outcome.word == "disabled") {
        let text = match input.file {
            File::Absent => "",
            File::Text(text) => text,
            _ => panic!("a file that is not read: {}", shown(input)),
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let lines = lines.filter_map(|line| line.split_once('='));
        let set: Vec<(&str, &str)> = lines.chain(input.environment.iter().copied()).collect();
        let is_switched_off = set.iter().any(|(name, value)| {
            let value = value.trim().to_ascii_lowercase();
            *name == "IS_LOCKING_DISABLED" && value.starts_with("true")
        });
        let is_configuration = |name: &str| {
            let prefixes = ["REDIS", "LOCK", "IS_LOCK"];
            prefixes.iter().any(|prefix| name.contains(prefix))
                && !NOT_CONFIGURATION.contains(&name)
        };
        let is_configured = set
            .iter()
            .any(|(name, value)| is_configuration(name) && !value.is_empty());
        let shown = shown(input);
        assert!(
            is_switched_off || !is_configured,
            "{shown} runs without locks"
        );
    }
}

#[test]
fn the_page_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration-inputs.md");
    let page = page();
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, &page).expect("the page is written");
    }
    let current = fs::read_to_string(PathBuf::from(&path)).unwrap_or_default();
    let differs = page
        .lines()
        .find(|line| !current.lines().any(|known| known == *line));
    assert!(
        current == page,
        "write it with {WRITE}=1 cargo test -p leasehold-config --test inputs; first new line: {differs:?}"
    );
}

fn page() -> String {
    let mut page = String::from(
        "# A hundred inputs and their outcomes\n\n\
         After this page you know how Leasehold reads a certain `.env` file or environment: whether the program runs\n\
         with locks, runs without them, or refuses to start, and the first thing that it says.\n\n\
         Each input was read by a process of its own, and none runs without locks unless `IS_LOCKING_DISABLED` is true or\n\
         nothing at all is configured. A test writes this page and compares it:\n\
         `LEASEHOLD_WRITE_DOCS=1 cargo test -p leasehold-config --test inputs`. ⏎ separates the lines of a file.\n",
    );
    for (heading, inputs) in outcomes() {
        page.push_str(&format!(
            "\n## {heading}\n\n| input | outcome | first message |\n| --- | --- | --- |\n"
        ));
        for (input, outcome) in inputs {
            let message = cell(&outcome.message);
            page.push_str(&format!(
                "| {} | {} | {message} |\n",
                shown(input),
                outcome.word
            ));
        }
    }
    page
}

/// An input as the page shows it.
fn shown(input: &Input) -> String {
    let mut parts = Vec::new();
    match input.file {
        File::Absent if input.environment.is_empty() => {
            parts.push("no file, no variable".to_owned());
        }
        File::Absent => {}
        File::Text(text) => parts.push(format!(".env: {}", code(text))),
        File::Utf16 { is_marked: true } => parts.push(".env in UTF-16".to_owned()),
        File::Utf16 { is_marked: false } => {
            parts.push(".env in UTF-16 without a byte order mark".to_owned());
        }
        File::Directory => parts.push(".env is a directory".to_owned()),
        File::Dangling => parts.push(".env is a symbolic link to nowhere".to_owned()),
        File::Pipe => parts.push(".env is a pipe".to_owned()),
    }
    let variables = input.environment.iter();
    let variables: Vec<String> = variables.map(|(n, v)| code(&format!("{n}={v}"))).collect();
    if !variables.is_empty() {
        parts.push(format!("environment: {}", variables.join(" ")));
    }
    parts.join("; ")
}

/// Code in a table: on one line, and with everything visible.
fn code(text: &str) -> String {
    let text = text.trim_end_matches('\n').replace('\n', " ⏎ ");
    let text = text
        .replace('\r', "␍")
        .replace('\t', "␉")
        .replace('\0', "␀");
    cell(&format!("`{}`", text.replace('\u{feff}', "<BOM>")))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
