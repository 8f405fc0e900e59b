//! The paths that a Rust file names, taken from its tokens: comments, strings and test modules do not count, what stands
//! in macros does.

use std::error::Error;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The steps of a path, such as `crate`, `lease`, `Lease`.
pub(super) type Steps = Vec<String>;

/// Every path of `use` declarations, and every other one that begins with `crate` or `super`.
pub(super) fn paths(source: &str) -> Result<Vec<Steps>, Box<dyn Error>> {
    let tokens: TokenStream = source.parse().map_err(|error| format!("{error}"))?;
    let mut found = Vec::new();
    collect(&trees(tokens), &mut found);
    Ok(found)
}

fn trees(tokens: TokenStream) -> Vec<TokenTree> {
    tokens.into_iter().collect()
}

fn collect(tokens: &[TokenTree], found: &mut Vec<Steps>) {
    let mut at = 0;
    while at < tokens.len() {
        let rest = &tokens[at..];
        if let Some(length) = test_item(rest) {
            at += length;
        } else if is_word(rest, "use") {
            let end = length_of_item(rest);
            expand(&rest[1..end], &[], found);
            at += end;
        } else if is_word(rest, "crate") || is_word(rest, "super") {
            let (steps, length) = path(rest);
            if steps.len() > 1 {
                found.push(steps);
            }
            at += length;
        } else {
            if let TokenTree::Group(group) = &rest[0] {
                collect(&trees(group.stream()), found);
            }
            at += 1;
        }
    }
}

/// How many tokens an item under `#[cfg(test)]` has, if one begins here.
fn test_item(tokens: &[TokenTree]) -> Option<usize> {
    let [
        TokenTree::Punct(hash),
        TokenTree::Group(attribute),
        item @ ..,
    ] = tokens
    else {
        return None;
    };
    let is_test =
        hash.as_char() == '#' && attribute.stream().to_string().replace(' ', "") == "cfg(test)";
    is_test.then(|| 2 + length_of_item(item))
}

/// Up to the semicolon, or the braces of a module or function.
fn length_of_item(tokens: &[TokenTree]) -> usize {
    let is_use = is_word(tokens, "use");
    let end = tokens.iter().position(|token| match token {
        TokenTree::Punct(mark) => mark.as_char() == ';',
        TokenTree::Group(group) => !is_use && group.delimiter() == Delimiter::Brace,
        _ => false,
    });
    end.map_or(tokens.len(), |end| end + 1)
}

fn is_word(tokens: &[TokenTree], word: &str) -> bool {
    matches!(tokens.first(), Some(TokenTree::Ident(found)) if found == word)
}

fn is_mark(token: Option<&TokenTree>, mark: char) -> bool {
    matches!(token, Some(TokenTree::Punct(found)) if found.as_char() == mark)
}

/// The steps of the path that begins here, and how many tokens it has.
fn path(tokens: &[TokenTree]) -> (Steps, usize) {
    let mut steps = Vec::new();
    let mut at = 0;
    while let Some(TokenTree::Ident(step)) = tokens.get(at) {
        steps.push(step.to_string());
        at += 1;
        if !(is_mark(tokens.get(at), ':') && is_mark(tokens.get(at + 1), ':')) {
            break;
        }
        at += 2;
    }
    (steps, at)
}

/// `a::{b, c::{d, e}}` as single paths.
fn expand(tokens: &[TokenTree], before: &[String], found: &mut Vec<Steps>) {
    for branch in tokens.split(|token| is_mark(Some(token), ',')) {
        let (steps, length) = path(branch);
        let full: Steps = before.iter().cloned().chain(steps).collect();
        match branch.get(length) {
            Some(TokenTree::Group(group)) => expand(&trees(group.stream()), &full, found),
            _ if full.len() > before.len() => found.push(full),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> Vec<String> {
        let paths = paths(source).expect("tokens");
        paths.iter().map(|steps| steps.join("::")).collect()
    }

    #[test]
    fn a_tree_of_imports_becomes_single_paths() {
        let source = "pub(crate) use crate::{a::{B, c::*}, d as e, self};";
        assert_eq!(
            found(source),
            ["crate::a::B", "crate::a::c", "crate::d", "crate::self"]
        );
    }

    #[test]
    fn paths_count_wherever_they_stand() {
        let source =
            "fn f(x: crate::a::B) { g!(super::super::c::D, \"crate::no\"); } // crate::no\n";
        assert_eq!(found(source), ["crate::a::B", "super::super::c::D"]);
    }

    #[test]
    fn tests_do_not_count() {
        let source = "#[cfg(test)] mod tests { use super::*; } #[cfg(test)] use crate::a; #[cfg(unix)] use crate::b;";
        assert_eq!(found(source), ["crate::b"]);
    }
}
