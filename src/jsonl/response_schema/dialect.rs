//! The API's dialect read as plain JSON Schema. Plain JSON Schema stays as it is.

use serde_json::{Map, Value};

/// What the API calls types, in upper case.
const TYPES: [&str; 7] = ["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"];
/// Whole numbers that the API writes as strings.
pub(super) const COUNTS: [&str; 6] =
    ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"];

const SCHEMAS_BY_NAME: [&str; 5] = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
const SCHEMAS: [&str; 17] = [
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
    "dependencies",
];

/// The schema as JSON Schema that any validator reads.
pub(super) fn to_plain(given: &Value) -> Value {
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
    for (name, value) in given {
        let value = match (name.as_str(), value) {
            ("nullable" | "propertyOrdering", _) => continue,
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
        made.insert(name.clone(), value);
    }
    let is_number = made.get("type").is_some_and(|word| word == "integer" || word == "number");
    let of_strings = |values: &Value| values.as_array().is_some_and(|values| values.iter().all(Value::is_string));
    if is_number && made.get("enum").is_some_and(of_strings) {
        // The dialect writes all values of an enum as strings; no number is one.
        made.shift_remove("enum");
    }
    if given.get("nullable") == Some(&Value::Bool(true)) {
        allow_null(&mut made);
    }
    made
}

fn is_unsaid(word: &str) -> bool {
    word == "TYPE_UNSPECIFIED"
}

fn plain_type(word: &str) -> String {
    match TYPES.contains(&word) {
        true => word.to_ascii_lowercase(),
        false => word.to_owned(),
    }
}

fn allow_null(schema: &mut Map<String, Value>) {
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
        choices.push(serde_json::json!({"type": "null"}));
    }
}
