//! One call of a tool: its arguments, read strictly, and the monitor of its client.

use std::marker::PhantomData;

use rmcp::handler::server::common::FromContextPart;
use rmcp::handler::server::tool::ToolCallContext;
use rmcp::model::{ErrorData, JsonObject};
use serde::de::DeserializeOwned;
use serde::de::value::MapDeserializer;
use serde_json::Value;

use super::BatchServer;
use super::consent::{Interview, Seal};
use super::progress::McpMonitor;
use super::tasks::Owner;
use crate::error::{Error, ErrorKind, Result};
use crate::job::spelling::distance;
use crate::job::text::in_words_of_json;

/// What a tool is called with.
pub(super) struct Call<A> {
    tool: String,
    arguments: JsonObject,
    /// Known arguments and their types, for whoever got one wrong.
    known: String,
    monitor: McpMonitor,
    interview: Interview,
    args: PhantomData<fn() -> A>,
}

impl<A: DeserializeOwned> Call<A> {
    /// The arguments. A mistake in them names the argument, and all known ones.
    pub(super) fn args(&self) -> Result<A> {
        parse(&self.arguments, None).map_err(|cause| {
            let cause = unknown(&self.arguments, &cause).unwrap_or(cause);
            let at = culprit::<A>(&self.arguments, &cause).map_or(String::new(), |name| format!("{name}: "));
            Error::new(
                ErrorKind::InvalidArgument,
                format!("reading the arguments of {}", self.tool),
                format!("{at}{}", in_words_of_json(&cause)),
            )
            .hint(format!("{} takes {}", self.tool, self.known))
        })
    }

    /// How its user can be asked, and the monitor.
    pub(super) fn parts(&mut self) -> (&mut Interview, &McpMonitor) {
        (&mut self.interview, &self.monitor)
    }

    /// Tells the client how far the call has come, and the call when the client gives up.
    pub(super) fn monitor(&self) -> &McpMonitor {
        &self.monitor
    }
}

impl<A> FromContextPart<ToolCallContext<'_, BatchServer>> for Call<A> {
    /// Arguments are read later: a failure here is a protocol error, which the model may never see. Only a client that
    /// brings back another state than it was given fails.
    fn from_context_part(context: &mut ToolCallContext<'_, BatchServer>) -> Result<Self, ErrorData> {
        let tool = context.service.tools.router.get(&context.name);
        let known = tool.map(|tool| known_arguments(&tool.input_schema));
        let mut arguments = context.arguments.take().unwrap_or_default();
        if let Some(tool) = tool {
            as_declared(&mut arguments, &tool.input_schema);
        }
        let tool = context.name.to_string();
        let (brought, sealed) = (context.input_responses.take(), context.request_state.take());
        let caller = Owner::of(context.service, &context.request_context);
        let seal = || Seal::of(caller.as_ref(), &tool, &arguments);
        Ok(Self {
            known: known.unwrap_or_default(),
            monitor: McpMonitor::new(&context.request_context),
            interview: Interview::new(&context.request_context, seal, brought, sealed.as_deref())?,
            tool,
            arguments,
            args: PhantomData,
        })
    }
}

/// Takes texts for what they spell where the tool takes no text: models send `"5"`, `"true"`, and one name for a list of names.
fn as_declared(arguments: &mut JsonObject, schema: &JsonObject) {
    for (name, value) in arguments {
        let Some(declared) = schema.get("properties").and_then(|all| all.get(name)).and_then(|one| one.get("type"))
        else {
            continue;
        };
        let Value::String(text) = &*value else { continue };
        if declared == "string" || !declared.is_string() {
            continue;
        }
        let spelled = serde_json::from_str(text.trim()).ok().filter(|spelled| is_of_type(spelled, declared));
        let alone = || (declared == "array").then(|| Value::Array(vec![value.clone()]));
        if let Some(meant) = spelled.or_else(alone) {
            *value = meant;
        }
    }
}

fn is_of_type(value: &Value, declared: &Value) -> bool {
    match value {
        Value::Bool(_) => declared == "boolean",
        Value::Number(number) => declared == "number" || (declared == "integer" && !number.is_f64()),
        Value::Array(_) => declared == "array",
        Value::Object(_) => declared == "object",
        Value::String(_) | Value::Null => false,
    }
}

/// Reads the arguments, or all but one of them.
fn parse<A: DeserializeOwned>(arguments: &JsonObject, without: Option<&str>) -> Result<A, String> {
    // A null stands for "not given": clients fill optional arguments with it.
    let given = arguments.iter().filter(|(name, value)| !value.is_null() && Some(name.as_str()) != without);
    let given = given.map(|(name, value)| (name.as_str(), value));
    A::deserialize(MapDeserializer::<_, serde_json::Error>::new(given)).map_err(|e| e.to_string())
}

/// The argument without which the mistake would be another one. Unknown and missing arguments are
/// named in the cause itself.
fn culprit<'a, A: DeserializeOwned>(arguments: &'a JsonObject, cause: &str) -> Option<&'a str> {
    if cause.starts_with("unknown field") || cause.starts_with("missing field") {
        return None;
    }
    let mut names = arguments.keys().map(String::as_str);
    names.find(|name| parse::<A>(arguments, Some(name)).err().as_deref() != Some(cause))
}

/// "unknown field `promt` (did you mean `prompt`?)", with every such argument. The hint lists those that are known.
fn unknown(arguments: &JsonObject, cause: &str) -> Option<String> {
    let (unknown, expected) = cause.split_once(", expected ")?;
    let first = unknown.strip_prefix("unknown field `")?.strip_suffix('`')?;
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    // A field inside of an argument is unknown among other fields.
    let strange = arguments.iter().filter(|(name, value)| !value.is_null() && !known.contains(&name.as_str()));
    let strange: Vec<&str> = strange.map(|(name, _)| name.as_str()).collect();
    let told = strange.iter().map(|name| match meant(name, &known) {
        Some(meant) => format!("`{name}` (did you mean `{meant}`?)"),
        None => format!("`{name}`"),
    });
    let fields = if strange.len() == 1 { "unknown field" } else { "unknown fields" };
    strange.contains(&first).then(|| format!("{fields} {}", told.collect::<Vec<_>>().join(", ")))
}

/// The known name that is nearest, or that is a part of it: `prompt_template` is a `template`.
fn meant<'n>(name: &str, known: &[&'n str]) -> Option<&'n str> {
    let near = known.iter().copied().filter(|known| distance(name, known) <= known.len() / 3);
    let part = known.iter().copied().filter(|known| name.contains(known));
    near.min_by_key(|known| distance(name, known)).or_else(|| part.max_by_key(|known| known.len()))
}

/// "job (string, required), wait (boolean)".
fn known_arguments(schema: &JsonObject) -> String {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map_or_else(Vec::new, |names| names.iter().filter_map(Value::as_str).collect());
    let properties = schema.get("properties").and_then(Value::as_object);
    let described = properties.into_iter().flatten().map(|(name, property)| {
        let kind = property.get("type").and_then(Value::as_str).unwrap_or("any");
        let must = if required.contains(&name.as_str()) { ", required" } else { "" };
        format!("{name} ({kind}{must})")
    });
    described.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ops::build::BuildArgs;
    use crate::ops::status::StatusArgs;

    fn object(value: Value) -> JsonObject {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn the_argument_of_a_wrong_type_is_found() {
        let arguments = object(json!({"jobs": ["a"], "timeout_seconds": "soon", "wait": true}));
        let cause = parse::<StatusArgs>(&arguments, None).unwrap_err();
        assert_eq!(culprit::<StatusArgs>(&arguments, &cause), Some("timeout_seconds"));
    }

    #[test]
    fn a_text_stands_for_what_it_spells_where_no_text_is_taken() {
        let schema = crate::mcp::schema::input::<StatusArgs>();
        let read = |arguments: Value| {
            let mut arguments = object(arguments);
            as_declared(&mut arguments, &schema);
            Value::Object(arguments)
        };
        let meant = json!({"jobs": ["a-1"], "wait": true, "timeout_seconds": 5});
        assert_eq!(read(json!({"jobs": "a-1", "wait": "true", "timeout_seconds": " 5"})), meant);
        assert_eq!(read(json!({"jobs": r#"["a-1"]"#, "wait": true, "timeout_seconds": 5})), meant);
        for other in
            [json!({"wait": "yes"}), json!({"timeout_seconds": "5.5"}), json!({"job": "5"}), json!({"wait": 1})]
        {
            assert_eq!(read(other.clone()), other, "a mistake stays one");
        }
    }

    #[test]
    fn a_null_argument_counts_as_not_given() {
        let args: StatusArgs = parse(&object(json!({"jobs": null, "wait": null})), None).unwrap();
        assert!(args.jobs.is_empty() && !args.wait);
    }

    #[test]
    fn unknown_arguments_are_told_with_those_that_may_be_meant() {
        let told = |arguments: Value| {
            let arguments = object(arguments);
            unknown(&arguments, &parse::<BuildArgs>(&arguments, None).unwrap_err())
        };
        let three = told(json!({"promts": [], "prompt_template": "a", "sheet": 1, "source": "a.csv"}));
        let expected =
            "unknown fields `promts` (did you mean `prompts`?), `prompt_template` (did you mean `template`?), `sheet`";
        assert_eq!(three.as_deref(), Some(expected));
        assert_eq!(told(json!({"sheet": 1})).as_deref(), Some("unknown field `sheet`"));
        assert_eq!(told(json!({"limit": "a"})), None);
    }

    #[test]
    fn an_unknown_argument_is_refused_and_the_known_ones_are_named() {
        let cause = parse::<StatusArgs>(&object(json!({"job": "a"})), None).unwrap_err();
        assert!(cause.contains("unknown field `job`") && cause.contains("`jobs`"), "{cause}");
        let schema = crate::mcp::schema::input::<StatusArgs>();
        assert_eq!(known_arguments(&schema), "jobs (array), wait (boolean), timeout_seconds (integer)");
    }
}
