//! Everything there is to explore, and what each exploration must show.

use crate::report::{Outcome, Until, explore};
use crate::{native, quorum, strict, takeover};

/// What an exploration must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// All properties hold.
    Holds,
    /// This property has a counterexample.
    Breaks(&'static str),
}

/// A configuration of one of the models.
#[derive(Clone, Copy, Debug)]
enum Model {
    Native(native::Native),
    Strict(strict::Strict),
    Quorum(quorum::Quorum),
    Takeover(takeover::Takeover),
}

/// One thing to explore.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is particular about it.
    pub about: &'static str,
    /// What it must show.
    pub expected: Expected,
    /// It takes minutes, so it belongs to `--full` only.
    pub takes_its_time: bool,
    model: Model,
}

impl Check {
    /// Explores it: all that is reachable, or up to the counterexample that there must be.
    #[must_use]
    pub fn run(&self) -> Outcome {
        let until = match self.expected {
            Expected::Holds => Until::Exhausted,
            Expected::Breaks(property) => Until::Counterexample(property),
        };
        let name = format!("{}: {}", self.name, self.about);
        match self.model {
            Model::Native(model) => explore(&name, &model, until),
            Model::Strict(model) => explore(&name, &model, until),
            Model::Takeover(model) => explore(&name, &model, until),
            Model::Quorum(model) => explore(&name, &model, until),
        }
    }

    /// Whether the outcome is as it must be.
    #[must_use]
    pub fn is_met_by(&self, outcome: &Outcome) -> bool {
        match self.expected {
            Expected::Holds => outcome.holds(),
            Expected::Breaks(property) => outcome
                .findings
                .iter()
                .any(|finding| finding.property == property && !finding.holds),
        }
    }
}

/// Everything there is to explore.
pub fn checks() -> impl Iterator<Item = Check> {
    let native = native::variants::all().map(|variant| Check {
        name: variant.name,
        about: variant.about,
        expected: variant.expected,
        takes_its_time: is_full(variant.name),
        model: Model::Native(variant.model),
    });
    let strict = strict::variants::all().map(|variant| Check {
        name: variant.name,
        about: variant.about,
        expected: variant.expected,
        takes_its_time: is_full(variant.name),
        model: Model::Strict(variant.model()),
    });
    let takeover = takeover::variants::all().map(|variant| Check {
        name: variant.name,
        about: variant.about,
        expected: variant.expected,
        takes_its_time: is_full(variant.name),
        model: Model::Takeover(variant.model()),
    });
    let quorum = quorum::variants::all().map(|variant| Check {
        name: variant.name,
        about: variant.about,
        expected: variant.expected,
        takes_its_time: is_full(variant.name),
        model: Model::Quorum(variant.model),
    });
    native.chain(strict).chain(takeover).chain(quorum)
}

/// The check of that name.
#[must_use]
pub fn check(name: &str) -> Option<Check> {
    checks().find(|check| check.name == name)
}

fn is_full(name: &str) -> bool {
    name.starts_with("full")
}
