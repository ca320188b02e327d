//! Schemas that every client understands: no references, no null unions, no number formats, no noise.
//!
//! Clients hand schemas on to models whose own dialects differ (Gemini takes no null union, TypeScript
//! validators complain of `int64`). The plain subset here is understood by all of them.

use std::sync::Arc;

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

/// The schema of what a tool takes.
pub(super) fn input<T: JsonSchema>() -> Arc<JsonObject> {
    let mut schema = portable::<T>(SchemaSettings::draft2020_12());
    schema.insert("additionalProperties".to_owned(), false.into());
    Arc::new(schema)
}

/// Fields of every reply, whose names say it all.
const PLAIN: [&str; 2] = ["warnings", "next"];

/// The schema of what a tool replies.
pub(super) fn output<T: JsonSchema>() -> Arc<JsonObject> {
    let mut schema = portable::<T>(SchemaSettings::draft2020_12().for_serialize());
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (_, field) in properties.into_iter().flatten().filter(|(name, _)| PLAIN.contains(&name.as_str())) {
        field.as_object_mut().and_then(|field| field.remove("description"));
    }
    Arc::new(schema)
}

fn portable<T: JsonSchema>(settings: SchemaSettings) -> JsonObject {
    let settings = settings.with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    simplify(&mut schema);
    let mut object = schema.as_object().cloned().unwrap_or_default();
    // The tool's own description says it better.
    object.remove("description");
    object
}

fn simplify(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    unwrap_nullable(fields);
    merge_words(fields);
    for noise in ["$schema", "title", "format", "default"] {
        fields.remove(noise);
    }
    if fields.get("additionalProperties") == Some(&Value::Bool(true)) {
        fields.remove("additionalProperties");
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(simplify);
    }
    if let Some(values) = fields.get_mut("additionalProperties") {
        simplify(values);
    }
    if let Some(items) = fields.get_mut("items") {
        simplify(items);
        // The list's own description says it better.
        items.as_object_mut().and_then(|items| items.remove("description"));
    }
}

/// An optional field: what it is when it is there.
fn unwrap_nullable(fields: &mut JsonObject) {
    let null = json!("null");
    if let Some(Value::Array(types)) = fields.get_mut("type") {
        types.retain(|kind| *kind != null);
        if let [only] = types.as_slice() {
            let only = only.clone();
            fields.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = fields.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type") != Some(&null));
        if let [Value::Object(only)] = choices.as_slice() {
            let mut only = only.clone();
            fields.remove("anyOf");
            // The field's own description wins over its type's.
            only.append(fields);
            *fields = only;
        }
    }
    if let Some(Value::Array(words)) = fields.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
}

/// A choice of described words becomes a plain list of words.
fn merge_words(fields: &mut JsonObject) {
    let Some(Value::Array(choices)) = fields.get("oneOf") else { return };
    let words: Option<Vec<Value>> = choices.iter().map(|choice| choice.get("const").cloned()).collect();
    if let Some(words) = words {
        fields.remove("oneOf");
        fields.insert("type".to_owned(), "string".into());
        fields.insert("enum".to_owned(), Value::Array(words));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_optional_word_of_a_described_list_is_a_plain_list_of_words() {
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema is looked at")]
        struct Args {
            /// Which colour.
            colour: Option<Colour>,
            /// How many.
            count: Option<u32>,
        }
        /// Colours.
        #[derive(JsonSchema)]
        #[schemars(rename_all = "snake_case")]
        #[expect(dead_code, reason = "only its schema is looked at")]
        enum Colour {
            /// Like blood.
            Red,
            /// Like the sky.
            Blue,
        }
        let expected = json!({
            "type": "object",
            "properties": {
                "colour": {"description": "Which colour.", "type": "string", "enum": ["red", "blue"]},
                "count": {"description": "How many.", "type": "integer", "minimum": 0},
            },
            "additionalProperties": false,
        });
        assert_eq!(Value::Object(input::<Args>().as_ref().clone()), expected);
    }
}
