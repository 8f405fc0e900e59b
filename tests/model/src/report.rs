//! Explores a model and says what came of it.

use std::fmt;
use std::hash::Hash;
use std::time::Instant;

use serde_json::{Value, json};
use stateright::{Checker, Expectation, HasDiscoveries, Model};

/// A model whose steps can be told in words.
pub trait Tale: Model {
    /// What happened in `step`, in one line.
    fn tell(&self, before: &Self::State, step: Self::Action, after: &Self::State) -> String;
}

/// How far an exploration goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Every reachable state has been seen.
    Exhausted,
    /// A counterexample to this property, which is then among the shortest ones; on one thread.
    Counterexample(&'static str),
}

/// What became of one property.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The property.
    pub property: &'static str,
    /// It must hold in every state; else it must be met in some state.
    pub always: bool,
    /// It is as it must be.
    pub holds: bool,
    /// The steps to the state that shows it, in words: a counterexample, or an example of what must be possible.
    pub trace: Vec<String>,
}

/// What came of an exploration.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was explored.
    pub name: String,
    /// Distinct states, up to the names of nodes and clients.
    pub states: usize,
    /// States reached, each as often as it was.
    pub generated: usize,
    /// The greatest number of steps from the beginning.
    pub depth: usize,
    /// Wall time.
    pub seconds: f64,
    /// Every property.
    pub findings: Vec<Finding>,
}

impl Outcome {
    /// The counterexample to an `always` property, if there is one.
    #[must_use]
    pub fn counterexample(&self) -> Option<&Finding> {
        self.findings
            .iter()
            .find(|finding| finding.always && !finding.holds)
    }

    /// Every property is as it must be.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.findings.iter().all(|finding| finding.holds)
    }

    /// For machines.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let findings = self.findings.iter().map(|finding| {
            let trace = if finding.always { json!(finding.trace) } else { json!(finding.trace.len()) };
            json!({ "property": finding.property, "always": finding.always, "holds": finding.holds, "trace": trace })
        });
        json!({
            "name": self.name,
            "states": self.states,
            "generated": self.generated,
            "depth": self.depth,
            "seconds": self.seconds,
            "holds": self.holds(),
            "properties": findings.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            states,
            generated,
            depth,
            seconds,
            ..
        } = self;
        writeln!(f, "{name}")?;
        writeln!(
            f,
            "  {states} distinct states ({generated} reached), depth {depth}, {seconds:.1} s"
        )?;
        for finding in &self.findings {
            let verdict = match (finding.always, finding.holds) {
                (true, true) => "holds always".to_owned(),
                (true, false) => format!("BROKEN in {} steps", finding.trace.len()),
                (false, true) => "met".to_owned(),
                (false, false) => "never met".to_owned(),
            };
            writeln!(f, "  {}: {verdict}", finding.property)?;
            if finding.always && !finding.holds {
                for (number, line) in (1..).zip(&finding.trace) {
                    writeln!(f, "  {number:>4}. {line}")?;
                }
            }
        }
        Ok(())
    }
}

/// Explores the model breadth first.
pub fn explore<M>(name: &str, model: &M, until: Until) -> Outcome
where
    M: Tale + Clone + Send + Sync + 'static,
    M::State: Hash + PartialEq + Clone + Send + Sync + 'static,
    M::Action: PartialEq + Clone + Send + Sync + 'static,
{
    let begun = Instant::now();
    let builder = model.clone().checker();
    let checker = match until {
        Until::Exhausted => {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            builder
                .threads(threads)
                .finish_when(HasDiscoveries::AllFailures)
                .spawn_bfs()
                .join()
        }
        Until::Counterexample(property) => {
            let found = HasDiscoveries::AnyOf([property].into());
            builder.threads(1).finish_when(found).spawn_bfs().join()
        }
    };
    let seconds = begun.elapsed().as_secs_f64();
    let discoveries = checker.discoveries();
    let findings = model.properties().into_iter().map(|property| {
        let always = property.expectation == Expectation::Always;
        let path = discoveries.get(property.name);
        let steps = path.map(|path| path.clone().into_vec()).unwrap_or_default();
        Finding {
            property: property.name,
            always,
            holds: always != path.is_some(),
            trace: tell(model, steps),
        }
    });
    Outcome {
        name: name.to_owned(),
        states: checker.unique_state_count(),
        generated: checker.state_count(),
        depth: checker.max_depth(),
        seconds,
        findings: findings.collect(),
    }
}

/// The steps of a path in words.
fn tell<M: Tale>(model: &M, path: Vec<(M::State, Option<M::Action>)>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut path = path.into_iter().peekable();
    while let Some((before, step)) = path.next() {
        if let (Some(step), Some((after, _))) = (step, path.peek()) {
            lines.push(model.tell(&before, step, after));
        }
    }
    lines
}
