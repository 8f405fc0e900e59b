//! Commands that the server ran, by name, those inside scripts included.

use std::collections::BTreeMap;
use std::time::Duration;

use leasehold_testkit::ServerProcess;

use crate::Result;

/// How often each command ran so far.
#[derive(Debug, Clone, Default)]
pub struct Commands(BTreeMap<String, u64>);

impl Commands {
    /// Asks the server; the asking itself is left out.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub fn so_far(server: &ServerProcess) -> Result<Self> {
        let fields = server.info("commandstats")?;
        Ok(Self(
            fields
                .iter()
                .filter_map(|(name, value)| entry(name, value))
                .collect(),
        ))
    }

    /// Reads the text of `INFO commandstats`.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        Self(
            fields
                .filter_map(|(name, value)| entry(name, value))
                .collect(),
        )
    }

    /// What ran since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let difference = self.0.iter().map(|(name, calls)| {
            let before = earlier.0.get(name).copied().unwrap_or_default();
            (name.clone(), calls.saturating_sub(before))
        });
        Self(difference.collect())
    }

    /// How often one command ran.
    #[must_use]
    pub fn calls(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// How many commands ran.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

/// Processor time that the server used so far.
///
/// # Errors
///
/// When the server does not answer.
pub fn processor_time(server: &ServerProcess) -> Result<Duration> {
    let fields = server.info("cpu")?;
    let seconds = |name| fields.get(name).and_then(|text| text.parse::<f64>().ok());
    let used = ["used_cpu_user", "used_cpu_sys"]
        .into_iter()
        .filter_map(seconds);
    Ok(Duration::from_secs_f64(used.sum()))
}

fn entry(name: &str, value: &str) -> Option<(String, u64)> {
    let name = name.strip_prefix("cmdstat_")?;
    let calls = value.strip_prefix("calls=")?.split(',').next()?;
    (name != "info").then_some((name.to_owned(), calls.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_name() {
        let text =
            "# Commandstats\r\ncmdstat_get:calls=3,usec=1\r\ncmdstat_info:calls=9,usec=1\r\n";
        let commands = Commands::read(text);
        assert_eq!((commands.calls("get"), commands.total()), (3, 3));
    }
}
