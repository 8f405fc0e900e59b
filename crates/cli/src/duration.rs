//! Durations on the command line, as in the configuration: `5`, `0.5`, `500ms`, `5s`, `2m`, `1h`.

use std::time::Duration;

pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let accepted = || format!("`{text}` is no duration: try 5, 0.5, 500ms, 5s, 2m or 1h");
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(accepted()),
    };
    let number: f64 = digits.parse().map_err(|_| accepted())?;
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(accepted()),
    }
}

/// A duration for people: `1m 5s`, `12.3s`, `450ms`.
pub(crate) fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        3600.. => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        60.. => format!("{}m {}s", seconds / 60, seconds % 60),
        1.. => format!("{:.1}s", duration.as_secs_f64()),
        0 => format!("{}ms", duration.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_units_of_the_configuration_are_read() {
        assert_eq!(parse("5"), Ok(Duration::from_secs(5)));
        assert_eq!(parse("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("2m"), Ok(Duration::from_secs(120)));
        for text in ["", "0", "-1s", "5 s", "inf", "nan", "1d", "s"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
