//! A schema to hold answers against: JSON Schema, or the API's dialect of it.
//!
//! The dialect (API reference: `Schema`) writes types in capitals, `nullable: true` for a union with null, and
//! numbers as text. Nothing is fetched: a `$ref` leads inside the schema or is refused.

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::job::text::clip;

const MOST_BYTES: usize = 300;

/// Fields of a schema that hold one schema each.
const ONE: [&str; 9] = [
    "items",
    "additionalProperties",
    "not",
    "contains",
    "propertyNames",
    "if",
    "then",
    "else",
    "unevaluatedProperties",
];
/// Fields that hold a list of schemas.
const MANY: [&str; 4] = ["anyOf", "oneOf", "allOf", "prefixItems"];
/// Fields that hold schemas by name.
const NAMED: [&str; 5] = ["properties", "$defs", "definitions", "patternProperties", "dependentSchemas"];
/// Fields whose numbers the dialect writes as text.
const COUNTS: [&str; 6] = ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"];
/// Spellings of the dialect with underscores.
const SPELLINGS: [(&str, &str); 9] = [
    ("any_of", "anyOf"),
    ("min_items", "minItems"),
    ("max_items", "maxItems"),
    ("min_length", "minLength"),
    ("max_length", "maxLength"),
    ("min_properties", "minProperties"),
    ("max_properties", "maxProperties"),
    ("prefix_items", "prefixItems"),
    ("additional_properties", "additionalProperties"),
];

/// A schema, ready to be held against answers.
pub(super) fn compile(schema: &Value) -> Result<Validator> {
    jsonschema::options().offline().build(&json_schema(schema)).map_err(|e| {
        let place = e.instance_path().as_str();
        let place = if place.is_empty() { String::new() } else { format!("at {place}: ") };
        Error::new(
            ErrorKind::InvalidArgument,
            "reading the schema of the answers",
            clip(&format!("{place}{e}"), MOST_BYTES),
        )
        .hint("give a JSON Schema such as {\"type\": \"object\", \"required\": [\"name\"]}; other files and addresses are not followed from inside it")
    })
}

/// Whether a row's own values were to be filled into the schema: then no two answers had the same one.
pub fn has_templates(schema: &Value) -> bool {
    match schema {
        Value::String(text) => text.contains("{{") || text.contains("{%"),
        Value::Array(items) => items.iter().any(has_templates),
        Value::Object(fields) => {
            fields.iter().filter(|(name, _)| *name != "description").any(|(_, value)| has_templates(value))
        }
        _ => false,
    }
}

/// The same schema as JSON Schema, whichever dialect it is in.
fn json_schema(schema: &Value) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    let mut translated = Map::new();
    for (name, value) in fields {
        let name = SPELLINGS.iter().find(|(dialect, _)| dialect == name).map_or(name.as_str(), |(_, plain)| *plain);
        translated.insert(name.to_owned(), field(name, value));
    }
    if translated.get("type") == Some(&Value::String("type_unspecified".to_owned())) {
        translated.shift_remove("type");
    }
    if translated.shift_remove("nullable") != Some(Value::Bool(true)) {
        return translated.into();
    }
    let Some(Value::String(name)) = translated.get("type").cloned() else {
        return json!({"anyOf": [translated, {"type": "null"}]});
    };
    translated.insert("type".to_owned(), json!([name, "null"]));
    if let Some(Value::Array(options)) = translated.get_mut("enum") {
        options.push(Value::Null);
    }
    translated.into()
}

fn field(name: &str, value: &Value) -> Value {
    match value {
        Value::String(text) if name == "type" => text.to_ascii_lowercase().into(),
        Value::Array(types) if name == "type" => types.iter().map(|one| field("type", one)).collect(),
        Value::String(text) if COUNTS.contains(&name) => text.parse::<u64>().map_or(value.clone(), Value::from),
        Value::Object(_) if ONE.contains(&name) => json_schema(value),
        Value::Array(schemas) if MANY.contains(&name) || name == "items" => schemas.iter().map(json_schema).collect(),
        Value::Object(named) if NAMED.contains(&name) => {
            named.iter().map(|(name, schema)| (name.clone(), json_schema(schema))).collect()
        }
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dialect_of_the_api_becomes_json_schema() {
        let dialect = json!({
            "type": "OBJECT",
            "properties": {
                "type": {"type": "STRING", "nullable": true},
                "tags": {"type": "ARRAY", "min_items": "1", "items": {"type": "INTEGER"}},
                "any": {"any_of": [{"type": "NUMBER"}, {"type": "BOOLEAN"}]},
            },
            "required": ["tags"],
            "propertyOrdering": ["tags", "type"],
        });
        let expected = json!({
            "type": "object",
            "properties": {
                "type": {"type": ["string", "null"]},
                "tags": {"type": "array", "minItems": 1, "items": {"type": "integer"}},
                "any": {"anyOf": [{"type": "number"}, {"type": "boolean"}]},
            },
            "required": ["tags"],
            "propertyOrdering": ["tags", "type"],
        });
        assert_eq!(json_schema(&dialect), expected);
        let validator = compile(&dialect).unwrap();
        assert!(validator.is_valid(&json!({"type": null, "tags": [1]})));
        assert!(!validator.is_valid(&json!({"type": 3, "tags": [1]})));
        assert!(!validator.is_valid(&json!({"tags": []})));
    }

    #[test]
    fn json_schema_stays_as_it_is() {
        let schema = json!({"type": ["string", "null"], "enum": ["A", null], "$defs": {"x": {"type": "object"}}});
        assert_eq!(json_schema(&schema), schema);
        assert_eq!(json_schema(&json!(true)), json!(true));
    }

    #[test]
    fn what_is_no_schema_or_leads_outside_is_refused() {
        for schema in [
            json!({"type": "text"}),
            json!({"required": "name"}),
            json!({"$ref": "https://example.com/schema.json"}),
            json!({"properties": {"a": {"$ref": "file:///etc/passwd"}}}),
            json!({"pattern": "("}),
        ] {
            assert_eq!(compile(&schema).unwrap_err().kind(), ErrorKind::InvalidArgument, "{schema}");
        }
        assert!(compile(&json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}})).is_ok());
    }

    #[test]
    fn a_schema_with_templates_is_another_one_for_each_row() {
        assert!(has_templates(&json!({"enum": ["{{ a }}", "b"]})));
        assert!(!has_templates(&json!({"description": "of {{ name }}", "type": "string"})));
    }
}
