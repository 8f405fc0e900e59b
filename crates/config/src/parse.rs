//! From text to value, with what is accepted where the text is not one.

use std::path::PathBuf;
use std::time::Duration;

use crate::diagnostics::{Rejection, is_pem};
use crate::endpoint::{self, AddressError, Endpoint};
use crate::error::ProblemKind;
use crate::lock_options::{LONGEST, Renewal, SHORTEST, Safety};

/// A value or what is wrong with it.
pub(crate) type Parsed<T> = Result<T, Rejection>;

/// Exactly `true` or `false`. To a person `IS_LOCKING_DISABLED=1` disables, while Atlan's Python SDK takes
/// everything but `true` for `false`: two programs on one file must not disagree about locking.
pub(crate) fn strict_boolean(name: &str, text: &str) -> Parsed<bool> {
    if text.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err(Rejection::value(
            "is neither true nor false",
            "true, false (in any case)",
            format!("{name}=false"),
        ))
    }
}

pub(crate) fn boolean(name: &str, text: &str) -> Parsed<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(Rejection::value(
            "is neither true nor false",
            "true, yes, on, 1, false, no, off, 0 (in any case)",
            format!("{name}=true"),
        )),
    }
}

pub(crate) const DURATIONS: &str =
    "seconds (5, 0.5) or a number with a unit (500ms, 5s, 2m, 1h), from 1ms to 365 days";

/// A duration, exact to the nanosecond.
pub(crate) fn duration(name: &str, text: &str, example: &str) -> Parsed<Duration> {
    let reject = |message: &str| Rejection::value(message, DURATIONS, format!("{name}={example}"));
    let duration = read_duration(text).ok_or_else(|| reject("is not a duration"))?;
    if duration < SHORTEST {
        return Err(reject("is shorter than a millisecond"));
    }
    if duration > LONGEST {
        return Err(reject("is longer than 365 days"));
    }
    Ok(duration)
}

fn read_duration(text: &str) -> Option<Duration> {
    let end = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let nanoseconds_per_unit: u128 = match unit.trim_start() {
        "ms" => 1_000_000,
        "" | "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || fraction.len() > 18 {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let nanoseconds = digits
        .parse::<u128>()
        .ok()?
        .checked_mul(nanoseconds_per_unit)?
        / scale;
    let seconds = u64::try_from(nanoseconds / 1_000_000_000).ok()?;
    let rest = u32::try_from(nanoseconds % 1_000_000_000).ok()?;
    Some(Duration::new(seconds, rest))
}

/// A bare number that is usual for milliseconds but stands for seconds.
pub(crate) fn looks_like_milliseconds(text: &str) -> bool {
    let is_bare = text.bytes().all(|byte| byte.is_ascii_digit());
    is_bare && text.trim_start_matches('0').len() > 3
}

pub(crate) fn renewal(name: &str, text: &str) -> Parsed<Renewal> {
    if ["off", "never", "none"].contains(&text.to_ascii_lowercase().as_str()) {
        return Ok(Renewal::Off);
    }
    let with_off = |mut rejection: Rejection| {
        rejection.accepted = format!("off, or {DURATIONS}");
        rejection
    };
    duration(name, text, "10s")
        .map(Renewal::Every)
        .map_err(with_off)
}

/// `Some(None)` stands for waiting without end.
pub(crate) fn acquire_timeout(name: &str, text: &str) -> Parsed<Option<Duration>> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    let with_none = |mut rejection: Rejection| {
        rejection.accepted = format!("none (wait without end), or {DURATIONS}");
        rejection
    };
    duration(name, text, "1m").map(Some).map_err(with_none)
}

pub(crate) fn safety(name: &str, text: &str) -> Parsed<Safety> {
    match text.to_ascii_lowercase().as_str() {
        "strict" => Ok(Safety::Strict),
        "relaxed" => Ok(Safety::Relaxed),
        _ => Err(Rejection::value(
            "is neither strict nor relaxed",
            "strict, relaxed",
            format!("{name}=strict"),
        )),
    }
}

pub(crate) fn host(name: &str, text: &str) -> Parsed<String> {
    endpoint::parse_host(text).map_err(|error| {
        let (message, example) = match error {
            AddressError::Url => (
                "is a URL where a host name is expected".to_owned(),
                "REDIS_URL=redis://localhost:6379".to_owned(),
            ),
            AddressError::BadHost(':') => (
                "has a port, which goes into REDIS_PORT".to_owned(),
                format!("{name}=localhost and REDIS_PORT=6379"),
            ),
            AddressError::Separator(_) => (
                "has a comma, a blank or the like, but takes one host; several Sentinels go into REDIS_SENTINEL_HOSTS, nodes of a cluster into REDIS_CLUSTER_NODES".to_owned(),
                format!("{name}=localhost"),
            ),
            error => (error.to_string(), format!("{name}=localhost")),
        };
        Rejection::value(message, "one host name or IP address", example)
    })
}

pub(crate) fn port(name: &str, text: &str) -> Parsed<u16> {
    endpoint::parse_port(text).map_err(|_| {
        Rejection::value(
            "is not a port",
            "a number from 1 to 65535",
            format!("{name}=6379"),
        )
    })
}

pub(crate) fn database(name: &str, text: &str) -> Parsed<u32> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<u32>().ok().filter(|_| is_number);
    number.ok_or_else(|| {
        Rejection::value(
            "is not the number of a database",
            "0, 1, 2 and so on; a server has 16 databases unless told otherwise",
            format!("{name}=0"),
        )
    })
}

pub(crate) const TWO_VOTES: &str = "names one server twice, which would give it two votes";

/// `host[:port],…`: at least one, and each once.
pub(crate) fn endpoints(name: &str, text: &str, default_port: u16) -> Parsed<Vec<Endpoint>> {
    let reject = |message: String| {
        Rejection::value(
            message,
            format!(
                "host or host:port (default port {default_port}), separated by commas; IPv6 addresses in brackets"
            ),
            format!("{name}=host-1:{default_port},host-2:{default_port},[::1]:{default_port}"),
        )
    };
    let mut endpoints = Vec::new();
    for (index, entry) in entries(text).enumerate() {
        let endpoint = Endpoint::parse(entry, default_port).map_err(|error| {
            let error = match error {
                AddressError::Credentials if name.contains("SENTINEL") => {
                    "has credentials before an @, which go into REDIS_SENTINEL_USERNAME and REDIS_SENTINEL_PASSWORD".to_owned()
                }
                error => error.to_string(),
            };
            reject(format!(
                "has an entry that is not host:port: number {} {error}",
                index + 1
            ))
        })?;
        if !endpoints.contains(&endpoint) {
            endpoints.push(endpoint);
        }
    }
    if endpoints.is_empty() {
        return Err(reject("has no entry".to_owned()));
    }
    Ok(endpoints)
}

/// The parts between commas, without blanks and without those that are empty.
pub(crate) fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
}

/// A name that Redis, Sentinel or a terminal shows: no control characters.
pub(crate) fn name(variable: &str, text: &str, example: &str) -> Parsed<String> {
    if text.chars().any(char::is_control) {
        return Err(Rejection::value(
            "has a control character",
            "text without control characters",
            format!("{variable}={example}"),
        ));
    }
    Ok(text.to_owned())
}

/// A name that Redis or Sentinel takes as one word.
pub(crate) fn word(variable: &str, text: &str, example: &str) -> Parsed<String> {
    if text
        .chars()
        .any(|character| character.is_whitespace() || character.is_control())
    {
        return Err(Rejection::value(
            "has a blank or a control character",
            "one word",
            format!("{variable}={example}"),
        ));
    }
    Ok(text.to_owned())
}

/// The path of a file that exists. Whether it holds what it should is found out where it is used.
pub(crate) fn file(name: &str, text: &str) -> Parsed<PathBuf> {
    let reject = |reason: String| {
        Rejection::value(
            format!("names a file that {reason}"),
            "the path of a readable PEM file",
            format!("{name}=/etc/redis/tls.pem"),
        )
        .of_kind(ProblemKind::UnreadableFile)
    };
    if is_pem(text) {
        return Err(Rejection::value(
            "holds the certificate or key itself, not the path of a file",
            "the path of a readable PEM file; Kubernetes: mount the Secret as a volume; compose: `secrets:`",
            format!("{name}=/etc/redis/tls.pem"),
        ));
    }
    match std::fs::metadata(text) {
        Ok(metadata) if metadata.is_file() => Ok(PathBuf::from(text)),
        Ok(_) => Err(reject("is not a regular file".to_owned())),
        Err(error) => Err(reject(format!("cannot be read ({})", error.kind()))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{looks_like_milliseconds, read_duration};

    #[test]
    fn durations_are_exact() {
        let cases = [
            ("5", Duration::from_secs(5)),
            ("0.5", Duration::from_millis(500)),
            (".5", Duration::from_millis(500)),
            ("500ms", Duration::from_millis(500)),
            ("500 ms", Duration::from_millis(500)),
            ("2m", Duration::from_secs(120)),
            ("1.5h", Duration::from_secs(5400)),
            ("0.000000001s", Duration::from_nanos(1)),
            ("0", Duration::ZERO),
            ("0.123456789012345678", Duration::from_nanos(123_456_789)),
        ];
        for (text, expected) in cases {
            assert_eq!(read_duration(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration() {
        for text in [
            "",
            ".",
            "five",
            "-5",
            "+5",
            "1e3",
            "NaN",
            "inf",
            "5 s s",
            "5sec",
            "1.2.3",
            "5S",
            "0x10",
            "99999999999999999999999999999999999999999",
            "1,5",
            "0.1234567890123456789",
        ] {
            assert_eq!(read_duration(text), None, "{text}");
        }
    }

    #[test]
    fn the_habit_of_milliseconds() {
        assert!(looks_like_milliseconds("30000"));
        assert!(looks_like_milliseconds("1000"));
        assert!(!looks_like_milliseconds("999"));
        assert!(!looks_like_milliseconds("0030"));
        assert!(!looks_like_milliseconds("30000ms"));
    }
}
