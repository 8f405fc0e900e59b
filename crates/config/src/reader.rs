//! Reads one variable after the other, and keeps account of what was read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use crate::diagnostics::{self, Diagnostics, Rejection};
use crate::parse::{self, Parsed};
use crate::raw::Raw;
use crate::resolve::Resolved;
use crate::secret::Secret;
use crate::setting::Setting;
use crate::source::Source;
use crate::variables::VARIABLES;

pub(crate) struct Reader {
    resolved: Resolved,
    shown: BTreeMap<&'static str, (Option<String>, Source)>,
    rejected: BTreeSet<&'static str>,
    pub(crate) diagnostics: Diagnostics,
}

impl Reader {
    pub(crate) fn new(resolved: Resolved, diagnostics: Diagnostics) -> Self {
        let shown = resolved
            .values()
            .map(|found| {
                let text = diagnostics::printable(found.variable, &found.value);
                (found.variable.name, (Some(text), found.source.clone()))
            })
            .collect();
        Self {
            resolved,
            shown,
            rejected: diagnostics.refused.clone(),
            diagnostics,
        }
    }

    pub(crate) fn raw(&self) -> Raw {
        let pairs = self.resolved.iter();
        Raw::from_pairs(pairs.map(|(name, found)| ((*name).to_owned(), found.value.clone())))
    }

    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.resolved.contains_key(name)
    }

    /// A secret together with the file that it was read from.
    pub(crate) fn secret(&self, name: &str, value: &str) -> Secret {
        Secret::read_from(self.file(name), value)
    }

    /// The file that a variable's value was read from.
    pub(crate) fn file(&self, name: &str) -> Option<&Path> {
        self.resolved.get(name)?.file.as_deref()
    }

    pub(crate) fn was_rejected(&self, name: &str) -> bool {
        self.rejected.contains(name)
    }

    /// Name as written and source, for a sentence: `REDIS_SENTINELS (.env:3)`.
    pub(crate) fn mention(&self, name: &str) -> String {
        let found = self.resolved.get(name);
        found.map_or_else(
            || name.to_owned(),
            |found| format!("{} ({})", found.written, found.source),
        )
    }

    /// The value of a variable; `None` if it is not set, and also, with a problem noted, if it is not accepted.
    pub(crate) fn read<T>(
        &mut self,
        name: &'static str,
        text: Option<&str>,
        parse: impl FnOnce(&str, &str) -> Parsed<T>,
    ) -> Option<T> {
        let text = text?;
        match parse(name, text) {
            Ok(value) => Some(value),
            Err(rejection) => {
                self.reject(name, rejection);
                None
            }
        }
    }

    pub(crate) fn duration(
        &mut self,
        name: &'static str,
        text: Option<&str>,
        example: &str,
    ) -> Option<Duration> {
        self.warn_of_milliseconds(name, text);
        self.read(name, text, |name, text| {
            parse::duration(name, text, example)
        })
    }

    pub(crate) fn warn_of_milliseconds(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text.filter(|text| parse::looks_like_milliseconds(text)) {
            let message = format!(
                "is {text} seconds, as a bare number means seconds; write {text}ms if milliseconds are meant"
            );
            self.warn(name, message);
        }
    }

    /// Diagnostics a problem with a variable, whether it is set or not.
    pub(crate) fn reject(&mut self, name: &'static str, rejection: Rejection) {
        self.rejected.insert(name);
        let problem = match self.resolved.get(name) {
            Some(found) => {
                let got = diagnostics::quoted(found.variable, &found.value);
                rejection.at(&found.written, &found.source, got)
            }
            None => {
                let shown = self.shown.get(name);
                let source = shown.map_or(&Source::Default, |(_, source)| source);
                let got = shown.and_then(|(text, _)| text.as_deref());
                rejection.at(name, source, got.map(|text| format!("\"{text}\"")))
            }
        };
        self.diagnostics.problems.push(problem);
    }

    pub(crate) fn warn(&mut self, name: &str, message: impl Into<String>) {
        match self.resolved.get(name) {
            Some(found) => self
                .diagnostics
                .warn(&found.written, &found.source, message),
            None => self.diagnostics.warn(name, &Source::Default, message),
        }
    }

    /// What stands in for a variable that is not set.
    pub(crate) fn default(&mut self, name: &'static str, text: impl Into<String>) {
        self.shown
            .entry(name)
            .or_insert_with(|| (Some(text.into()), Source::Default));
    }

    /// Replaces what is shown of a variable that is set.
    pub(crate) fn show(&mut self, name: &str, text: String) {
        if let Some((shown, _)) = self.shown.get_mut(name) {
            *shown = Some(text);
        }
    }

    /// Shows a variable as decided by the builder, whatever the sources say.
    pub(crate) fn overridden(&mut self, name: &'static str, text: Option<&str>) {
        self.resolved.remove(name);
        let text = text.map(str::to_owned);
        self.shown.insert(name, (text, Source::Builder));
    }

    pub(crate) fn settings(&self) -> Vec<Setting> {
        let setting = |name| match self.shown.get(name) {
            Some((value, source)) => Setting {
                name,
                value: value.clone(),
                source: source.clone(),
            },
            None => Setting {
                name,
                value: None,
                source: Source::Default,
            },
        };
        VARIABLES.iter().map(|v| setting(v.name)).collect()
    }
}
