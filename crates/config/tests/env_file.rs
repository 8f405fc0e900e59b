//! Lines of a `.env` file that other readers get wrong.

mod common;

use common::{from_file, message, password, problem, sentinel, standalone, warnings};
use leasehold_config::{Endpoint, ProblemKind};

const HEAD: &str = "IS_LOCKING_DISABLED=false\nREDIS_HOST=h\n";

fn with(line: &str) -> String {
    format!("{HEAD}{line}\n")
}

#[test]
fn secrets_that_are_read_as_they_stand() {
    for (line, expected) in [
        ("REDIS_PASSWORD='pa$word'", "pa$word"),
        ("REDIS_PASSWORD='pa$$word'", "pa$$word"),
        ("REDIS_PASSWORD='#secret'", "#secret"),
        ("REDIS_PASSWORD=se#cret", "se#cret"),
        ("REDIS_PASSWORD=secret # comment", "secret"),
        ("REDIS_PASSWORD='secret' # comment", "secret"),
        ("REDIS_PASSWORD='a\\d\"e'", "a\\d\"e"),
        ("REDIS_PASSWORD=\"o'brien #1\"", "o'brien #1"),
        ("REDIS_PASSWORD=two words", "two words"),
        ("REDIS_PASSWORD='two words'", "two words"),
        ("REDIS_PASSWORD=a=b", "a=b"),
        ("REDIS_PASSWORD=é", "é"),
        ("  export   REDIS_PASSWORD = secret  ", "secret"),
        ("REDIS_PASSWORD='first\nsecond'", "first\nsecond"),
        ("REDIS_PASSWORD=secret\r", "secret"),
    ] {
        let config = from_file(with(line)).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(password(&config), Some(expected), "{line}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of lines")]
fn lines_that_programs_read_differently_are_refused() {
    for (line, expected) in [
        (
            "REDIS_PASSWORD=pa$word",
            "has a $ outside single quotes, which some programs replace and others keep",
        ),
        (
            "REDIS_PASSWORD=pa$$word",
            "has a $ outside single quotes, which some programs replace and others keep",
        ),
        (
            "REDIS_PASSWORD=end$",
            "has a $ outside single quotes, which some programs replace and others keep",
        ),
        (
            "REDIS_PASSWORD=\"a$HOME\"",
            "has a $ outside single quotes, which some programs replace and others keep",
        ),
        (
            "REDIS_PASSWORD=#secret",
            "begins with # outside quotes, which some programs take for a comment",
        ),
        (
            "REDIS_PASSWORD=a\\d",
            "has a backslash outside single quotes, which some programs drop and others keep",
        ),
        (
            "REDIS_PASSWORD=o'brien",
            "has a quote in an unquoted value, which some programs close many lines later",
        ),
        (
            "REDIS_PASSWORD='o'brien",
            "has text after its closing quote",
        ),
        (
            "REDIS_PASSWORD='secret'#comment",
            "has text after its closing quote",
        ),
        (
            "REDIS_PASSWORD='secret",
            "has an opening quote without a closing one",
        ),
        (
            "REDIS_PASSWORD=secret; export REDIS_DB=1",
            "is followed by another assignment on the same line",
        ),
        (
            "REDIS_PASSWORD=\"a\\\"d\"",
            "has a backslash outside single quotes, which some programs drop and others keep",
        ),
        ("REDIS_PASSWORD='a\\'", "cannot be read"),
        ("REDIS_PASSWORD", "is not followed by ="),
        ("REDIS_PASSWORD secret", "is not followed by ="),
        ("REDIS_PASSWORD: secret", "is followed by : instead of ="),
    ] {
        let result = from_file(with(line));
        let error = result.clone().expect_err(line);
        assert_eq!(
            error.problems()[0].kind(),
            ProblemKind::AmbiguousLine,
            "{line}"
        );
        assert_eq!(
            problem(result),
            format!("REDIS_PASSWORD {expected}"),
            "{line}"
        );
        let source = error.problems()[0].source().to_string();
        assert!(source.ends_with(".env:3"), "{source}");
    }
}

#[test]
fn the_message_shows_the_line_and_the_way_out_but_not_the_value() {
    assert_eq!(
        message(from_file(with("REDIS_PASSWORD=hunter$2"))),
        "1 problem in the lock configuration

  1. REDIS_PASSWORD has a $ outside single quotes, which some programs replace and others keep
     from:     .env:3
     accepted: a value in single quotes; one that contains a single quote in double quotes, and then without $ and backslash
     example:  REDIS_PASSWORD='<the value>'"
    );
}

#[test]
fn byte_order_mark_and_windows_line_ends() {
    let file = "\u{feff}IS_LOCKING_DISABLED=false\r\nREDIS_HOST=\"h\"\r\nREDIS_PORT=7000\r\n";
    let config = from_file(file).expect("a file from Windows");
    assert_eq!(standalone(&config).endpoint, Endpoint::new("h", 7000));
}

#[test]
fn utf_16_is_recognised() {
    let bytes: Vec<u8> = "\u{feff}REDIS_HOST=h"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(
        problem(from_file(bytes)),
        "LOCK_ENV_FILE names a file that is UTF-16"
    );
}

#[test]
fn utf_16_without_a_mark_is_recognised_by_its_nul_bytes() {
    let text = "REDIS_HOST=h\nIS_LOCKING_DISABLED=false\n";
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for bytes in [little, big, b"REDIS_HOST=h\n\0\0".to_vec()] {
        assert_eq!(
            problem(from_file(bytes)),
            "LOCK_ENV_FILE names a file that holds NUL bytes, as UTF-16 does"
        );
    }
}

#[test]
fn other_encodings_matter_only_in_our_values() {
    let mut file = b"# caf\xe9\nCAFE=caf\xe9\n".to_vec();
    file.extend(HEAD.bytes());
    assert!(from_file(&file).is_ok());
    file.extend(b"REDIS_PASSWORD=caf\xe9\n");
    let error = from_file(&file).expect_err("Latin-1");
    assert_eq!(error.problems()[0].kind(), ProblemKind::NotUnicode);
    assert!(error.problems()[0].source().to_string().ends_with(".env:5"));
}

#[test]
fn other_peoples_lines_are_none_of_our_business() {
    let file = "FOO=two words\nBAR=pa$word\nBAZ=o'brien\nnot an assignment\nA-B=1\n: x\nKEY=\"-----BEGIN\nabc=\n-----END\"\n";
    let config = from_file(format!("{file}{HEAD}")).expect("only ours are read");
    assert_eq!(standalone(&config).endpoint.host(), "h");
    assert_eq!(warnings(&config), [""; 0]);
}

#[test]
fn a_name_that_begins_with_export_is_another_name() {
    let config = from_file(with("exportREDIS_PASSWORD=a")).expect("a name of others");
    assert_eq!(password(&config), None);
}

#[test]
fn our_variable_in_a_quoted_value_of_others_is_part_of_that_value() {
    let config = from_file(with("COMMENT='REDIS_PASSWORD=a'")).expect("a value of others");
    assert_eq!(password(&config), None);
}

#[test]
fn a_quote_that_is_never_closed_swallows_nothing() {
    let config = from_file(format!("FOO='bar\n{HEAD}BAZ='\n")).expect("ours are found");
    assert_eq!(standalone(&config).endpoint.host(), "h");
    assert_eq!(
        warnings(&config),
        [
            "FOO has a value with an opening quote and no closing one; the lines after it are read on their own",
            "BAZ has a value with an opening quote and no closing one; the lines after it are read on their own"
        ]
    );
}

#[test]
fn line_numbers_survive_values_of_several_lines() {
    let error =
        from_file("A='1\n2\n3'\n\n# x\nREDIS_PORT=x\nREDIS_HOST=h\nIS_LOCKING_DISABLED=false");
    let error = error.expect_err("a port that is none");
    assert!(
        error.problems()[0].source().to_string().ends_with(".env:6"),
        "{error}"
    );
}

#[test]
fn our_variable_on_a_line_that_is_not_read_is_refused() {
    for line in [
        "export FOO=1; export REDIS_HOST=h",
        "FOO=1 REDIS_HOST=h",
        "FOO=1;REDIS_HOST=h",
        "FOO=1;export REDIS_HOST=h",
        "FOO='1' REDIS_HOST=h",
        "FOO=\"1\"; export REDIS_HOST=h # twice",
        "Environment=\"FOO=1\" \"REDIS_HOST=h\"",
        "- name: REDIS_HOST",
        "set REDIS_HOST=h",
        "setx REDIS_HOST h",
        "SET \"REDIS_HOST=h\"",
        "$env:REDIS_HOST = 'h'",
        "[Environment]::SetEnvironmentVariable('REDIS_HOST', 'h')",
        "- REDIS_HOST=h",
        "\"REDIS_HOST\": \"h\",",
        "\u{feff}REDIS_HOST=h",
        "Environment REDIS_HOST=h",
        "declare -x REDIS_HOST=h",
    ] {
        let result = from_file(format!("IS_LOCKING_DISABLED=false\n{line}\n"));
        assert_eq!(
            problem(result),
            "REDIS_HOST stands on a line that does not begin with NAME=, and is not read",
            "{line}"
        );
    }
}

#[test]
fn lists_may_have_blanks() {
    let config =
        from_file("IS_LOCKING_DISABLED=false\nREDIS_SENTINEL_HOSTS=a:1, b:2,,[::1] , c # three\n");
    let config = config.expect("a list");
    let shown: Vec<_> = sentinel(&config)
        .sentinels
        .iter()
        .map(Endpoint::to_string)
        .collect();
    assert_eq!(shown, ["a:1", "b:2", "[::1]:26379", "c:26379"]);
}

#[test]
fn the_last_of_two_lines_counts_also_when_it_is_empty() {
    let config = from_file(with("REDIS_PASSWORD=a\nREDIS_PASSWORD=b")).expect("twice");
    assert_eq!(password(&config), Some("b"));
    let config = from_file(with("REDIS_PASSWORD=a\nREDIS_PASSWORD=")).expect("twice");
    assert_eq!(password(&config), None);
    assert!(warnings(&config)[0].starts_with("REDIS_PASSWORD is set twice"));
}

#[test]
fn empty_values_in_every_spelling_are_unset() {
    for line in [
        "REDIS_PASSWORD=",
        "REDIS_PASSWORD=''",
        "REDIS_PASSWORD=\"\"",
        "REDIS_PASSWORD=  # none",
        "export REDIS_PASSWORD",
    ] {
        let config = from_file(with(line)).expect(line);
        assert_eq!(password(&config), None, "{line}");
    }
}

#[test]
fn braces_in_single_quotes_are_read_but_warned_about() {
    let config = from_file(with("REDIS_PASSWORD='a${HOME}b'")).expect("single quotes");
    assert_eq!(password(&config), Some("a${HOME}b"));
    assert!(warnings(&config)[0].contains("python-dotenv"));
}

#[test]
fn a_large_file_and_a_directory_are_refused() {
    assert!(
        from_file(vec![b'#'; 1024 * 1024]).is_ok(),
        "1 MiB may be read"
    );
    assert_eq!(
        problem(from_file(vec![b'#'; 1024 * 1024 + 1])),
        "LOCK_ENV_FILE names a file that is larger than 1 MiB"
    );
    let directory = tempfile::tempdir().expect("a directory");
    let result = leasehold_config::Config::builder()
        .env_file(directory.path())
        .build();
    assert_eq!(
        problem(result),
        "LOCK_ENV_FILE names a file that is not a regular file"
    );
}
