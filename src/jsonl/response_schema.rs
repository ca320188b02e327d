//! A schema for answers in both languages: the API's own dialect, which is what works in a batch, and
//! plain JSON Schema, which answers are held against here.

use serde_json::Value;

use super::finding::{clipped, quoted};
use super::notes::{Fault, Notes};
use crate::job::text::{clip, one_line};

mod choices;
mod dialect;
mod flatten;
mod translate;

pub use dialect::to_plain;

/// Deeper schemas are refused: the API reads 127 levels of a whole line.
const DEEPEST: usize = 25;
/// Larger ones too: references written out can grow without end.
const LARGEST: usize = 3_000;
/// Bytes of what a validator says of a schema.
const MOST_SHOWN: usize = 160;
/// Words that are named of something that is no schema.
const MOST_NAMED: usize = 5;
/// What no schema reaches that a person wrote.
const MOST_LEVELS: usize = 120;
const HINT: &str = r#"give a JSON Schema such as {"type": "object", "properties": {"name": {"type": "string"}}}"#;
/// What may stand around a schema that was written for OpenAI, beside `schema`.
const AROUND: [&str; 4] = ["type", "name", "description", "strict"];

/// A schema that answers are to follow.
#[derive(Debug, Clone, PartialEq)]
pub struct ResponseSchema {
    /// As it is sent, in the API's dialect.
    pub sent: Value,
    /// As answers are held against it: JSON Schema.
    pub plain: Value,
}

/// Reads a schema in either language. What changed on the way is noted.
pub fn read(given: &Value, notes: &mut Notes) -> Result<ResponseSchema, Fault> {
    if deeper_than(given, MOST_LEVELS) {
        return Err(too_deep(""));
    }
    let whole = given;
    let given = itself(whole)?;
    if !std::ptr::eq(given, whole) {
        notes.fix("a response format as OpenAI spells it", "", "the schema was taken out of it");
    }
    let plain = dialect::to_plain(given);
    check(&plain)?;
    let sent = Value::Object(translate::translate(given, notes)?);
    Ok(ResponseSchema { sent, plain })
}

/// The schema itself, taken out of what OpenAI's response formats put around it. Words that make no schema are refused:
/// a model would be told nothing, and any answer would do.
pub fn itself(given: &Value) -> Result<&Value, Fault> {
    let Value::Object(object) = given else { return Ok(given) };
    if let Some(inside @ Value::Object(_)) = object.get("json_schema") {
        return itself(inside);
    }
    match object.get("schema") {
        Some(inside @ Value::Object(_))
            if object.keys().all(|name| name == "schema" || AROUND.contains(&name.as_str())) =>
        {
            itself(inside)
        }
        _ if !object.is_empty() && !object.keys().any(|name| translate::is_keyword(name)) => {
            let named: Vec<String> = object.keys().take(MOST_NAMED).map(|name| quoted(name)).collect();
            let cause = format!("not a schema: none of its words is a keyword of JSON Schema ({})", named.join(", "));
            Err(Fault::new("", cause, HINT))
        }
        _ => Ok(given),
    }
}

/// Refuses what is no JSON Schema, naming the place.
fn check(plain: &Value) -> Result<(), Fault> {
    let fault = |error: &jsonschema::ValidationError<'_>| {
        let place = error.instance_path().as_str().trim_start_matches('/').replace('/', ".");
        Fault::new(place, format!("not a schema: {}", clip(&one_line(&error.to_string()), MOST_SHOWN)), HINT)
    };
    if !plain.is_object() {
        return Err(Fault::new("", "the schema is not an object", HINT));
    }
    jsonschema::meta::validate(plain).map_err(|error| fault(&error))?;
    jsonschema::validator_for(plain).map(drop).map_err(|error| fault(&error))
}

fn deeper_than(value: &Value, levels: usize) -> bool {
    let Some(left) = levels.checked_sub(1) else { return true };
    match value {
        Value::Object(object) => object.values().any(|value| deeper_than(value, left)),
        Value::Array(array) => array.iter().any(|value| deeper_than(value, left)),
        _ => false,
    }
}

fn too_deep(place: &str) -> Fault {
    Fault::new(clipped(place), "the schema is nested too deep", "flatten it: simple schemas are followed better, too")
}

#[cfg(test)]
mod tests;
