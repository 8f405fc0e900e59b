//! Every link of the pages leads somewhere: to a file, and in it to a heading. The list of pages in
//! `docs/README.md` leaves none out.

use std::fs;
use std::path::{Path, PathBuf};

/// What people ask first, and the page that answers it.
const ANSWERS: [(&str, &str); 9] = [
    ("How is it run on Kubernetes?", "kubernetes.md"),
    ("Frequent questions", "faq.md"),
    ("Why not Redlock?", "faq.md#why-not-redlock"),
    (
        "How does it compare with other locks?",
        "faq.md#how-does-it-compare-with-other-locks-on-redis",
    ),
    ("Which mode?", "choosing.md#which-mode"),
    ("Which TTL?", "choosing.md#lock_ttl-the-price-of-a-crash"),
    ("How is it made secure?", "security.md"),
    ("Locks are stuck", "stuck-locks.md"),
    ("Without an async runtime?", "blocking.md"),
];

/// Two screens.
const MOST_LINES: usize = 100;

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().expect("the repository")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn pages(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "target" && name != ".git" {
            pages(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// The lines of a page that are no code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The targets of a page's links that are no addresses of the web.
fn links(text: &str) -> Vec<&str> {
    let targets = prose(text).flat_map(|line| {
        let rests = line.split("](").skip(1);
        rests.filter_map(|rest| Some(rest.split_once(')')?.0))
    });
    targets.filter(|link| !link.contains("://")).collect()
}

/// The names by which the headings of a page are linked to.
fn anchors(text: &str) -> Vec<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let headings = headings.map(|line| line.trim_start_matches('#').trim());
    headings.map(anchor).collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|character| match character {
        ' ' => Some('-'),
        '-' | '_' => Some(character),
        _ => character.is_alphanumeric().then_some(character),
    });
    kept.flat_map(char::to_lowercase).collect()
}

/// What is wrong with a link on a page, if anything is.
fn fault(page: &Path, link: &str) -> Option<&'static str> {
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let target = match file {
        "" => page.to_owned(),
        file => page.parent()?.join(file),
    };
    if !target.exists() {
        return Some("there is no such file");
    }
    let is_there = heading.is_empty() || anchors(&read(&target)).contains(&heading.to_owned());
    (!is_there).then_some("there is no such heading")
}

#[test]
fn every_link_leads_somewhere() {
    let mut found = Vec::new();
    pages(&root(), &mut found);
    let mut checked = 0;
    let mut problems = Vec::new();
    for page in &found {
        let text = read(page);
        for link in links(&text) {
            checked += 1;
            if let Some(fault) = fault(page, link) {
                problems.push(format!("{}: {link}: {fault}", page.display()));
            }
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
    assert!(checked > 100, "{checked} links on {} pages", found.len());
}

/// `@WORD@` stands where something was still to be filled in.
#[test]
fn nothing_is_left_to_be_filled_in() {
    let mut found = Vec::new();
    pages(&root(), &mut found);
    let is_name = |word: &&str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    for page in found {
        let text = read(&page);
        let left = text.split('@').skip(1).find(is_name);
        assert_eq!(left, None, "{}", page.display());
    }
}

#[test]
fn the_list_of_pages_leaves_none_out() {
    let docs = root().join("docs");
    let list = read(&docs.join("README.md"));
    let listed = links(&list);
    let mut found = Vec::new();
    pages(&docs, &mut found);
    for page in found.iter().filter(|page| !page.ends_with("README.md")) {
        let name = page.strip_prefix(&docs).expect("a page of the folder");
        let name = name.to_string_lossy();
        assert!(listed.contains(&&*name), "docs/README.md leaves out {name}");
    }
}

#[test]
fn what_people_ask_first_has_a_page_of_two_screens() {
    let list = root().join("docs/README.md");
    for (question, link) in ANSWERS {
        assert_eq!(fault(&list, link), None, "{question} {link}");
        let page = link.split('#').next().unwrap_or(link);
        let lines = read(&root().join("docs").join(page)).lines().count();
        assert!(lines <= MOST_LINES, "{question} {page} has {lines} lines");
    }
}

#[test]
fn faults_of_links_are_seen() {
    let page = root().join("docs/README.md");
    assert_eq!(fault(&page, "faq.md#why-not-redlock"), None);
    assert!(fault(&page, "no-such-page.md").is_some());
    assert!(fault(&page, "faq.md#no-such-heading").is_some());
    assert_eq!(
        anchor("`LOCK_TTL`: the price, of a (crash)?"),
        "lock_ttl-the-price-of-a-crash"
    );
    assert_eq!(
        links("[a](b.md) [c](https://d)\n```\n[e](f)\n```"),
        ["b.md"]
    );
}
