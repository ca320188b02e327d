//! Fields of JSON objects, in either of the two spellings the API accepts.

use serde_json::{Map, Value};

/// The field with this camelCase name, which may be written in snake_case.
pub(super) fn field<'a>(object: &'a Value, camel: &str) -> Option<&'a Value> {
    find(object.as_object()?, camel)
}

/// The same, of a map.
pub(super) fn find<'a>(fields: &'a Map<String, Value>, camel: &str) -> Option<&'a Value> {
    let found = fields.get(camel).or_else(|| fields.iter().find(|(name, _)| camelised(name) == camel).map(|(_, v)| v));
    found.filter(|value| !value.is_null())
}

/// A field as text. Numbers count as text: int64 comes either way.
pub(super) fn text(object: &Value, camel: &str) -> Option<String> {
    match field(object, camel)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A field as a count.
pub(super) fn count(object: &Value, camel: &str) -> Option<u64> {
    text(object, camel)?.parse().ok()
}

/// The elements of a field that is a list.
pub(super) fn list<'a>(object: &'a Value, camel: &str) -> &'a [Value] {
    field(object, camel).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A name in camelCase.
pub(super) fn camelised(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        match letters.peek() {
            Some(next) if letter == '_' && next.is_ascii_lowercase() && !camel.is_empty() => {
                camel.push(next.to_ascii_uppercase());
                letters.next();
            }
            _ => camel.push(letter),
        }
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_spellings_name_one_field() {
        assert_eq!(camelised("max_output_tokens"), "maxOutputTokens");
        assert_eq!(camelised("_responseJsonSchema"), "_responseJsonSchema");
        assert_eq!(text(&json!({"file_name": "files/a"}), "fileName").as_deref(), Some("files/a"));
        assert_eq!(count(&json!({"sizeBytes": 7}), "sizeBytes"), Some(7));
    }
}
