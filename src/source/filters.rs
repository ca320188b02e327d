//! The filters of templates where they differ from what the template engine brings, or are not there.

use std::borrow::Cow;

use minijinja::value::{Kwargs, Rest, Serde, Value};
use minijinja::{Environment, Error, ErrorKind, State, filters};

use super::logic::json_text;

/// Adds our filters to an environment.
pub(super) fn install(environment: &mut Environment<'_>) {
    let builtin = Value::from_function(filters::join);
    environment.add_filter("join", move |state: &mut State, list: Value, rest: Rest<Value>| {
        let mut arguments = vec![as_list(list)?];
        arguments.extend(rest.iter().cloned());
        builtin.call(state, &arguments)
    });
    let of_text = [
        ("upper", Value::from_function(filters::upper)),
        ("lower", Value::from_function(filters::lower)),
        ("title", Value::from_function(filters::title)),
        ("capitalize", Value::from_function(filters::capitalize)),
        ("trim", Value::from_function(filters::trim)),
        ("replace", Value::from_function(filters::replace)),
        ("string", Value::from_function(filters::string)),
    ];
    for (name, filter) in of_text {
        environment.add_filter(name, move |state: &mut State, text: Value, rest: Rest<Value>| {
            refuse_null(&text)?;
            filter.call(state, &[&[text], rest.as_slice()].concat())
        });
    }
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("tojson", to_json);
    environment.add_filter("fromjson", from_json);
    environment.add_filter("truncate", truncate);
}

/// A filter of the engine's would make the word "none" of it.
pub(super) fn refuse_null(value: &Value) -> Result<(), Error> {
    match value.is_none() {
        true => Err(Error::new(ErrorKind::BadSerialization, "the value is null")),
        false => Ok(()),
    }
}

/// Null counts as absent, as in the rows of JSON files.
fn default(state: &State, value: &Value, rest: Rest<Value>) -> Result<Value, Error> {
    filters::default(state, if value.is_none() { &Value::UNDEFINED } else { value }, rest)
}

/// A list as it is; text only if it is a JSON array. Joining the letters of a text is never meant.
fn as_list(value: Value) -> Result<Value, Error> {
    let Some(text) = value.as_str() else { return Ok(value) };
    let list = serde_json::from_str::<Vec<serde_json::Value>>(text);
    list.map(|parsed| Value::from(Serde(parsed))).map_err(|_| {
        Error::new(ErrorKind::InvalidOperation, "join needs a list and this is text; split it first: split(\";\")")
    })
}

/// The value that a JSON text holds. What is not text is that value already.
fn from_json(value: Value) -> Result<Value, Error> {
    let Some(text) = value.as_str() else { return Ok(value) };
    let parsed = serde_json::from_str::<serde_json::Value>(text);
    parsed
        .map(|parsed| Value::from(Serde(parsed)))
        .map_err(|e| Error::new(ErrorKind::InvalidOperation, format!("fromjson: the text is not JSON: {e}")))
}

/// The value as JSON, as serde_json writes it: this is for prompts, so nothing is escaped for HTML.
fn to_json(value: &Value, indent: Option<Value>, named: Kwargs) -> Result<String, Error> {
    let indent = match indent {
        Some(indent) => Some(indent),
        None => named.get("indent")?,
    };
    named.assert_all_used()?;
    let width = match indent {
        None => None,
        Some(indent) => match bool::try_from(indent.clone()) {
            Ok(wanted) => wanted.then_some(2),
            Err(_) => Some(usize::try_from(indent)?.min(16)),
        },
    };
    if value.is_undefined() {
        return Err(ErrorKind::UndefinedError.into());
    }
    json_text(value, width)
}

/// The first `length` characters, `end` included; cut between words unless `killwords`.
fn truncate(text: &Value, length: Option<usize>, killwords: Option<bool>, named: Kwargs) -> Result<String, Error> {
    let length = length.or(named.get("length")?).unwrap_or(255);
    let killwords = killwords.or(named.get("killwords")?).unwrap_or(false);
    let end = named.get::<Option<&str>>("end")?.unwrap_or("...");
    named.assert_all_used()?;
    refuse_null(text)?;
    let text = text.as_str().map_or_else(|| Cow::Owned(text.to_string()), Cow::Borrowed);
    if text.chars().nth(length).is_none() {
        return Ok(text.into_owned());
    }
    let kept: String = text.chars().take(length.saturating_sub(end.chars().count())).collect();
    let kept = match kept.rsplit_once(' ') {
        Some((words, _)) if !killwords => words,
        _ => &kept,
    };
    Ok(format!("{kept}{end}"))
}
