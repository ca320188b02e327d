//! The API's dialect read as plain JSON Schema. Plain JSON Schema stays as it is.

use serde_json::{Map, Number, Value, json};

use crate::jsonl::schema::{Schema, snake_case};

/// What the API calls types, in upper case.
const TYPES: [&str; 7] = ["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"];
/// Whole numbers that the API writes as strings.
pub(super) const COUNTS: [&str; 6] =
    ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"];

const SCHEMAS_BY_NAME: [&str; 6] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"];
const SCHEMAS: [&str; 16] = [
    "anyOf",
    "oneOf",
    "allOf",
    "prefixItems",
    "items",
    "additionalItems",
    "additionalProperties",
    "contains",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
];
/// Keywords by which null may be refused, and that no further choice or type makes allow it.
const FIRM: [&str; 7] = ["const", "oneOf", "allOf", "not", "if", "$ref", "$dynamicRef"];
/// Keywords that have their meaning at the root of a schema only, or say nothing about what is valid.
const AROUND: [&str; 7] = ["$schema", "$id", "$defs", "definitions", "title", "description", "default"];

/// A schema in either language as JSON Schema that any validator reads.
pub fn to_plain(given: &Value) -> Value {
    let mut plain = plain(given);
    // A validator would not know what to make of a language of somebody's own.
    let is_own = |name: &Value| name.as_str().is_none_or(|name| !name.contains("json-schema.org/"));
    if let Value::Object(object) = &mut plain
        && object.get("$schema").is_some_and(is_own)
    {
        object.shift_remove("$schema");
    }
    plain
}

fn plain(given: &Value) -> Value {
    match given {
        Value::Object(object) => Value::Object(plain_object(object)),
        Value::Array(schemas) => schemas.iter().map(plain).collect(),
        other => other.clone(),
    }
}

fn plain_object(given: &Map<String, Value>) -> Map<String, Value> {
    let mut made = Map::with_capacity(given.len());
    let mut nullable = false;
    for (name, value) in given {
        let name = spelled(name);
        let value = match (name, value) {
            ("nullable", _) => {
                nullable = *value == Value::Bool(true);
                continue;
            }
            ("propertyOrdering", _) => continue,
            ("type", Value::String(word)) if is_unsaid(word) => continue,
            ("type", Value::String(word)) => plain_type(word).into(),
            ("type", Value::Array(words)) => words
                .iter()
                .map(|word| word.as_str().map_or_else(|| word.clone(), |word| plain_type(word).into()))
                .collect(),
            (count, Value::String(digits)) if COUNTS.contains(&count) => {
                digits.parse::<u64>().map_or_else(|_| value.clone(), Value::from)
            }
            (name, Value::Object(schemas)) if SCHEMAS_BY_NAME.contains(&name) => {
                schemas.iter().map(|(name, schema)| (name.clone(), plain(schema))).collect()
            }
            (name, _) if SCHEMAS.contains(&name) => plain(value),
            _ => value.clone(),
        };
        made.insert(name.to_owned(), value);
    }
    numbers_of_the_dialect(&mut made);
    if nullable { allow_null(made) } else { made }
}

/// A keyword without the underscores with which the API and its SDKs take it, too.
fn spelled(name: &str) -> &str {
    let of_the_api = || Some(Schema::get().named("Schema")?.find(name)?.1.name);
    SCHEMAS.into_iter().find(|keyword| snake_case(keyword) == name).or_else(of_the_api).unwrap_or(name)
}

fn is_unsaid(word: &str) -> bool {
    word.eq_ignore_ascii_case("TYPE_UNSPECIFIED")
}

fn plain_type(word: &str) -> String {
    match TYPES.iter().any(|known| known.eq_ignore_ascii_case(word)) {
        true => word.to_ascii_lowercase(),
        false => word.to_owned(),
    }
}

/// The dialect writes all values of an enum as strings, also those of numbers, which no string is.
fn numbers_of_the_dialect(schema: &mut Map<String, Value>) {
    if !schema.get("type").is_some_and(|word| word == "integer" || word == "number") {
        return;
    }
    let Some(Value::Array(values)) = schema.get("enum") else { return };
    let Some(digits) = values.iter().map(Value::as_str).collect::<Option<Vec<_>>>() else { return };
    let numbers: Option<Vec<_>> =
        digits.iter().map(|digits| digits.parse::<Number>().ok().map(Value::Number)).collect();
    match numbers {
        Some(numbers) => _ = schema.insert("enum".to_owned(), Value::Array(numbers)),
        None => _ = schema.shift_remove("enum"),
    }
}

/// The schema, with null allowed besides: each keyword that speaks of null has to do so.
fn allow_null(mut schema: Map<String, Value>) -> Map<String, Value> {
    let nothing = || json!({"type": "null"});
    if FIRM.iter().any(|keyword| schema.contains_key(*keyword)) {
        let (around, inside): (Map<_, _>, Map<_, _>) =
            schema.into_iter().partition(|(name, _)| AROUND.contains(&name.as_str()));
        return around.into_iter().chain([("anyOf".to_owned(), json!([inside, nothing()]))]).collect();
    }
    match schema.get_mut("type") {
        Some(Value::String(word)) if word != "null" => {
            let types = vec![Value::String(std::mem::take(word)), "null".into()];
            schema.insert("type".to_owned(), Value::Array(types));
        }
        Some(Value::Array(words)) if !words.iter().any(|word| word == "null") => words.push("null".into()),
        _ => {}
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum")
        && !words.contains(&Value::Null)
    {
        words.push(Value::Null);
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.push(nothing());
    }
    schema
}
