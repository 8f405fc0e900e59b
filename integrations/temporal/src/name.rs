//! The name of a lock, made for each execution of an activity.

use std::fmt::Write;

use serde_json::Value;
use temporalio_common::ActivityDefinition;
use temporalio_common::data_converters::{
    ActivitySerializationContext, GenericPayloadConverter, PayloadConverter, SerializationContext,
    SerializationContextData,
};

use crate::execution::Execution;

/// A name with placeholders, such as `warehouse-{0}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    WorkflowId,
    RunId,
    ActivityType,
    /// An argument, and the names of the fields that lead to the value inside it.
    Argument(usize, Vec<String>),
}

/// Why a name is not a template, or gives no name for an execution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The text is not a template.
    #[error("`{template}` is not a lock name: {problem}")]
    Template {
        /// The text as given.
        template: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The execution lacks what the template names.
    #[error("the lock of the activity `{activity}` has no name: {problem}")]
    Value {
        /// The type of the activity.
        activity: String,
        /// Which placeholder has no value, and why.
        problem: String,
    },
}

impl NameError {
    pub(crate) fn value(execution: &Execution, problem: impl Into<String>) -> Self {
        Self::Value {
            activity: execution.activity_type.clone(),
            problem: problem.into(),
        }
    }
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, NameError> {
        let wrong = |problem: String| NameError::Template {
            template: text.to_owned(),
            problem,
        };
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (inside, after) = after
                .split_once('}')
                .ok_or_else(|| wrong("a `{` has no `}`".to_owned()))?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(placeholder(inside).map_err(wrong)?);
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        if parts
            .iter()
            .any(|part| matches!(part, Part::Text(text) if text.contains('}')))
        {
            return Err(wrong("a `}` has no `{`".to_owned()));
        }
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        if parts.is_empty() {
            return Err(wrong("it is empty".to_owned()));
        }
        Ok(Self { parts })
    }

    /// Whether a name needs the activity's arguments.
    pub(crate) fn has_arguments(&self) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part, Part::Argument(..)))
    }

    /// The name for an execution with these arguments.
    pub(crate) fn fill(
        &self,
        execution: &Execution,
        arguments: &[Value],
    ) -> Result<String, NameError> {
        let missing = |problem: String| NameError::value(execution, problem);
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::WorkflowId => name.push_str(
                    execution
                        .workflow_id
                        .as_deref()
                        .ok_or_else(|| missing("it was started by no workflow".to_owned()))?,
                ),
                Part::RunId => name.push_str(
                    execution
                        .run_id
                        .as_deref()
                        .ok_or_else(|| missing("it was started by no workflow".to_owned()))?,
                ),
                Part::ActivityType => name.push_str(&execution.activity_type),
                Part::Argument(index, fields) => {
                    name.push_str(&value(arguments, *index, fields).map_err(missing)?);
                }
            }
        }
        Ok(name)
    }
}

fn placeholder(inside: &str) -> Result<Part, String> {
    match inside {
        "workflow_id" => return Ok(Part::WorkflowId),
        "run_id" => return Ok(Part::RunId),
        "activity_type" => return Ok(Part::ActivityType),
        _ => {}
    }
    let mut words = inside.split('.');
    let index = words.next().unwrap_or_default();
    let fields: Vec<String> = words.map(str::to_owned).collect();
    match index.parse() {
        Ok(index) if fields.iter().all(|field| !field.is_empty()) => {
            Ok(Part::Argument(index, fields))
        }
        _ => Err(format!(
            "`{{{inside}}}` is none of {{workflow_id}}, {{run_id}}, {{activity_type}}, {{0}} or \
             {{0.field}}"
        )),
    }
}

fn value(arguments: &[Value], index: usize, fields: &[String]) -> Result<String, String> {
    let mut place = index.to_string();
    let mut value = arguments.get(index).ok_or_else(|| {
        format!(
            "argument {index} is missing, the activity has {}",
            arguments.len()
        )
    })?;
    for field in fields {
        value = value
            .get(field)
            .ok_or_else(|| format!("argument {place} has no field `{field}`"))?;
        let _ = write!(place, ".{field}");
    }
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null => Err(format!("argument {place} is null")),
        Value::Array(_) => Err(format!(
            "argument {place} is a list; a name needs one value"
        )),
        Value::Object(_) => Err(format!(
            "argument {place} is an object; name one of its fields, as in {{{place}.field}}"
        )),
    }
}

/// The arguments of an activity as JSON, one value for each that the workflow passed.
pub(crate) fn arguments<A: ActivityDefinition>(input: &A::Input) -> Result<Vec<Value>, String> {
    let converter = PayloadConverter::default();
    let data = SerializationContextData::Activity(ActivitySerializationContext::new());
    let context = SerializationContext::new(&data, &converter);
    let payloads = converter
        .to_payloads(&context, input)
        .map_err(|error| format!("its arguments cannot be read: {error}"))?;
    let values = payloads.iter().enumerate().map(|(index, payload)| {
        serde_json::from_slice(&payload.data)
            .map_err(|error| format!("argument {index} is not JSON: {error}"))
    });
    values.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(text: &str) -> String {
        Template::parse(text).expect_err(text).to_string()
    }

    #[test]
    fn what_is_no_template_is_refused_with_its_reason() {
        assert_eq!(problem(""), "`` is not a lock name: it is empty");
        assert_eq!(problem("a{0"), "`a{0` is not a lock name: a `{` has no `}`");
        assert_eq!(problem("a}"), "`a}` is not a lock name: a `}` has no `{`");
        assert!(problem("a-{first}").contains("`{first}` is none of {workflow_id}"));
        assert!(problem("a-{0.}").contains("`{0.}` is none of"));
    }

    #[test]
    fn a_name_is_filled_for_each_execution() {
        let template = Template::parse("{activity_type}-{0}-{workflow_id}:{run_id}");
        let execution = Execution {
            activity_type: "import".to_owned(),
            workflow_id: Some("nightly".to_owned()),
            run_id: Some("0a1b".to_owned()),
            ..Execution::default()
        };
        let template = template.expect("a template");
        let name = template.fill(&execution, &[json!(7)]);
        assert_eq!(name, Ok("import-7-nightly:0a1b".to_owned()));
        let alone = Execution::default();
        let refused = template.fill(&alone, &[json!(7)]).expect_err("no workflow");
        assert!(
            refused.to_string().contains("started by no workflow"),
            "{refused}"
        );
    }

    #[test]
    fn values_are_taken_from_the_arguments() {
        let arguments = [json!("east"), json!({"warehouse": {"id": 7, "tags": []}})];
        let field = |path: &[&str]| {
            let path: Vec<String> = path.iter().map(|&field| field.to_owned()).collect();
            value(&arguments, 1, &path)
        };
        assert_eq!(value(&arguments, 0, &[]), Ok("east".to_owned()));
        assert_eq!(field(&["warehouse", "id"]), Ok("7".to_owned()));
        let refused = [
            (
                field(&["warehouse", "tags"]),
                "argument 1.warehouse.tags is a list",
            ),
            (
                field(&["warehouse"]),
                "argument 1.warehouse is an object; name one",
            ),
            (field(&["store"]), "argument 1 has no field `store`"),
            (
                value(&arguments, 2, &[]),
                "argument 2 is missing, the activity has 2",
            ),
        ];
        for (refused, beginning) in refused {
            let message = refused.expect_err(beginning);
            assert!(message.starts_with(beginning), "{message}");
        }
    }
}
