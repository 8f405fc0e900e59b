//! `deploy/kubernetes/`: the manifests are valid by the schemas of Kubernetes, and their variables are those that
//! the SDK reads. What needs a cluster is not tested here.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Failure, code, leasehold, output, stderr, stdout};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/kubernetes")
}

/// Passes with a message where the schemas cannot be had: without Python or its package index.
#[test]
fn the_manifests_fit_the_schemas() -> Result<(), Failure> {
    let mut check = Command::new("sh");
    check.arg(directory().join("check.sh"));
    let checked = match check.output() {
        Ok(checked) => checked,
        Err(error) => {
            println!("skipped: {error}");
            return Ok(());
        }
    };
    println!("{}{}", stdout(&checked), stderr(&checked));
    assert_eq!(code(&checked), 0);
    Ok(())
}

/// The data of the workers' ConfigMap, line by line.
fn variables() -> Result<Vec<(String, String)>, Failure> {
    let text = fs::read_to_string(directory().join("workers.yaml"))?;
    let (_, data) = text.split_once("\ndata:\n").ok_or("no data")?;
    let lines = data.lines().take_while(|line| line.starts_with("  "));
    let lines = lines.filter(|line| !line.trim_start().starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.split_once(": ").ok_or("no value")?;
            Ok((name.trim().to_owned(), value.trim_matches('"').to_owned()))
        })
        .collect()
}

#[test]
fn the_variables_are_those_that_the_sdk_reads() -> Result<(), Failure> {
    let passwords = tempfile::tempdir()?;
    let password = passwords.path().join("REDIS_PASSWORD");
    fs::write(&password, "secret\n")?;
    let mut variables = variables()?;
    assert!(variables.len() > 6, "{variables:?}");
    for (name, value) in &mut variables {
        if name == "REDIS_PASSWORD_FILE" {
            *value = password.to_string_lossy().into_owned();
        }
    }
    let mut command = leasehold(&variables);
    command.args(["env", "--set", "--json"]);
    let shown = output(command)?;
    let text = stdout(&shown);
    assert_eq!(code(&shown), 0, "{}", stderr(&shown));
    let document: serde_json::Value = serde_json::from_str(&text)?;
    let warnings = document["warnings"].as_array().ok_or("no warnings")?;
    assert!(warnings.is_empty(), "{text}");
    for (name, _) in variables {
        let name = name.trim_end_matches("_FILE");
        assert!(text.contains(name), "{name} is not read: {text}");
    }
    Ok(())
}
