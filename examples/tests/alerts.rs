//! The alert rules, by Prometheus' own tool: they parse, and their unit tests pass.

use std::io::{self, Write};
use std::process::Command;

#[test]
fn alerts_fire_when_they_should_and_only_then() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/observability");
    for words in [
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts.test.yml"],
    ] {
        let output = match Command::new("promtool")
            .args(words)
            .current_dir(directory)
            .output()
        {
            Ok(output) => output,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Past the test harness, which shows nothing of tests that pass.
                let _ = writeln!(
                    io::stderr(),
                    "NOT TESTED: promtool is not installed (apt-get install prometheus)"
                );
                return;
            }
            Err(error) => panic!("promtool: {error}"),
        };
        let said = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}{complaint}");
    }
}
