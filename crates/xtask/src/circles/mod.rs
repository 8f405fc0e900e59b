//! `cargo xtask circles`: files of one crate that import each other in a circle.
//!
//! A file that is in no circle can be read, tested and moved without those that use it. Test modules are left out: they
//! may use whatever they test.

mod graph;
mod imports;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cargo;
use crate::outcome::Outcome;
use graph::{Circle, Graph};

/// Folders in which each folder, or its `src`, may be a crate.
const PARENTS: [&str; 4] = [".", "crates", "integrations", "tests"];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The folders of these crates' sources; all of the repository without any
    #[arg(value_name = "FOLDER")]
    folders: Vec<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let root = cargo::root();
    let folders = if arguments.folders.is_empty() {
        crates(root)?
    } else {
        arguments.folders.clone()
    };
    let mut total = 0;
    for folder in folders {
        let name = folder
            .strip_prefix(root)
            .unwrap_or(&folder)
            .display()
            .to_string();
        let circles = Graph::read(&folder)?.circles();
        for circle in &circles {
            print!("{}", text(&name, circle));
        }
        total += circles.len();
    }
    println!("{total} import circles");
    Ok(total == 0)
}

fn text(folder: &str, circle: &Circle) -> String {
    let mut text = format!("{folder}: {} files import each other\n", circle.files);
    for arrow in &circle.arrows {
        text += &format!(
            "  {} -> {} ({})\n",
            arrow.from,
            arrow.to,
            arrow.names.join(", ")
        );
    }
    text
}

/// The source folders of all crates: those with a `lib.rs` or a `main.rs`.
fn crates(root: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut folders = Vec::new();
    for parent in PARENTS {
        let parent = if parent == "." {
            root.to_owned()
        } else {
            root.join(parent)
        };
        for entry in fs::read_dir(&parent)? {
            let folder = entry?.path();
            let candidates = [folder.join("src"), folder];
            folders.extend(candidates.into_iter().find(|folder| {
                ["lib.rs", "main.rs"]
                    .iter()
                    .any(|file| folder.join(file).is_file())
            }));
        }
    }
    folders.sort();
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crates_of_the_repository_are_found() {
        let root = cargo::root();
        let found = crates(root).expect("a readable repository");
        for name in [
            "crates/lock/src",
            "benches/src",
            "tests/faults/src",
            "tests/safety",
        ] {
            assert!(found.contains(&root.join(name)), "{name}: {found:?}");
        }
    }
}
