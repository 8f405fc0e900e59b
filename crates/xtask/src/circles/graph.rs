//! Which file of a crate imports which, and the circles among them.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use super::imports::{self, Steps};

/// The files of a crate by their modules, and what each imports.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// By module; the root is empty.
    files: BTreeMap<Steps, String>,
    /// From one module to others, with the names.
    arrows: BTreeMap<Steps, BTreeMap<Steps, BTreeSet<String>>>,
}

/// Files that reach each other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Circle {
    pub(super) files: usize,
    pub(super) arrows: Vec<Arrow>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arrow {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) names: Vec<String>,
}

impl Graph {
    /// Reads every `.rs` file in a folder and below it.
    pub(super) fn read(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let mut sources = Vec::new();
        collect(folder, folder, &mut sources)?;
        Self::of(&sources)
    }

    /// From files' names and texts.
    fn of(sources: &[(String, String)]) -> Result<Self, Box<dyn Error>> {
        let mut graph = Self::default();
        for (file, _) in sources {
            graph.files.insert(module(file), file.clone());
        }
        for (file, text) in sources {
            let paths = imports::paths(text).map_err(|error| format!("{file}: {error}"))?;
            let from = module(file);
            for steps in paths {
                graph.add(&from, &steps);
            }
        }
        Ok(graph)
    }

    fn add(&mut self, from: &Steps, steps: &[String]) {
        let Some(full) = resolve(from, steps) else {
            return;
        };
        let target = (1..=full.len())
            .rev()
            .find(|&length| self.files.contains_key(&full[..length]));
        let Some(length) = target else { return };
        let to = full[..length].to_vec();
        if to == *from {
            return;
        }
        let name = full.get(length).cloned().unwrap_or_else(|| "*".to_owned());
        let arrows = self.arrows.entry(from.clone()).or_default();
        arrows.entry(to).or_default().insert(name);
    }

    /// Every set of files that reach each other, largest first.
    pub(super) fn circles(&self) -> Vec<Circle> {
        let reach: BTreeMap<&Steps, BTreeSet<&Steps>> = self
            .files
            .keys()
            .map(|module| (module, self.reachable(module)))
            .collect();
        let mut seen: BTreeSet<&Steps> = BTreeSet::new();
        let mut circles = Vec::new();
        for module in self.files.keys() {
            let members: BTreeSet<&Steps> = reach[module]
                .iter()
                .copied()
                .filter(|other| reach[other].contains(module))
                .collect();
            if members.len() > 1 && !seen.contains(module) {
                circles.push(self.circle(&members));
                seen.extend(members);
            }
        }
        circles.sort_by_key(|circle| std::cmp::Reverse(circle.files));
        circles
    }

    fn reachable<'a>(&'a self, from: &'a Steps) -> BTreeSet<&'a Steps> {
        let mut found = BTreeSet::new();
        let mut open = vec![from];
        while let Some(module) = open.pop() {
            for next in self.arrows.get(module).into_iter().flat_map(BTreeMap::keys) {
                if found.insert(next) {
                    open.push(next);
                }
            }
        }
        found
    }

    fn circle(&self, members: &BTreeSet<&Steps>) -> Circle {
        let mut arrows = Vec::new();
        for &from in members {
            for (to, names) in self.arrows.get(from).into_iter().flatten() {
                if members.contains(to) {
                    arrows.push(Arrow {
                        from: self.files[from].clone(),
                        to: self.files[to].clone(),
                        names: names.iter().cloned().collect(),
                    });
                }
            }
        }
        Circle {
            files: members.len(),
            arrows,
        }
    }
}

/// `crate`, `self` and `super` made absolute; none for a path into another crate.
fn resolve(from: &[String], steps: &[String]) -> Option<Steps> {
    let (first, rest) = steps.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([from, rest].concat()),
        "super" => {
            let ups = steps.iter().take_while(|step| *step == "super").count();
            let kept = from.len().checked_sub(ups)?;
            Some([&from[..kept], &steps[ups..]].concat())
        }
        _ => None,
    }
}

/// `a/b.rs` and `a/b/mod.rs` are the module `a::b`.
fn module(file: &str) -> Steps {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let mut steps: Steps = path.split('/').map(str::to_owned).collect();
    let is_of_folder = steps.last().is_some_and(|last| last == "mod");
    if is_of_folder || matches!(path, "lib" | "main") {
        steps.pop();
    }
    steps
}

fn collect(
    root: &Path,
    folder: &Path,
    found: &mut Vec<(String, String)>,
) -> Result<(), Box<dyn Error>> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in entries {
        paths.push(entry?.path());
    }
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(root, &path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
            found.push((name, fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles(files: &[(&str, &str)]) -> Vec<Circle> {
        let files: Vec<(String, String)> = files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        Graph::of(&files).expect("a graph").circles()
    }

    #[test]
    fn two_files_that_import_each_other_are_a_circle() {
        let found = circles(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::B;"),
            ("b/mod.rs", "fn f(x: super::a::A) {}"),
        ]);
        let arrow = |from: &str, to: &str, name: &str| Arrow {
            from: from.to_owned(),
            to: to.to_owned(),
            names: vec![name.to_owned()],
        };
        let arrows = vec![
            arrow("a.rs", "b/mod.rs", "B"),
            arrow("b/mod.rs", "a.rs", "A"),
        ];
        assert_eq!(found, [Circle { files: 2, arrows }]);
    }

    #[test]
    fn a_chain_and_a_test_are_no_circle() {
        let found = circles(&[
            (
                "a.rs",
                "use crate::b::B; #[cfg(test)] mod tests { use crate::c::C; }",
            ),
            ("b.rs", "use crate::c::C;"),
            ("c.rs", "#[cfg(test)] mod tests { use crate::a::A; }"),
        ]);
        assert_eq!(found, []);
    }

    #[test]
    fn circles_may_be_long() {
        let found = circles(&[
            ("a.rs", "use crate::b;"),
            ("b.rs", "use crate::c::{self};"),
            ("c.rs", "use super::a::A;"),
            ("d.rs", "use crate::a;"),
        ]);
        assert_eq!(
            found.iter().map(|circle| circle.files).collect::<Vec<_>>(),
            [3]
        );
    }
}
