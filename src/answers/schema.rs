//! A schema to hold answers against: JSON Schema, or the API's dialect of it.
//!
//! Nothing is fetched: a `$ref` leads inside the schema or is refused.

use jsonschema::Validator;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::job::text::clip;
use crate::jsonl::response_schema::to_plain;

const MOST_BYTES: usize = 300;

/// A schema, ready to be held against answers.
pub(super) fn compile(schema: &Value) -> Result<Validator> {
    jsonschema::options().offline().build(&to_plain(schema)).map_err(|e| {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
