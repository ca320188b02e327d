//! Requests made of simple arguments, in a fixed order of properties.

use serde_json::{Map, Value, json};

/// A request for an answer. Its strings are templates still to be compiled.
pub fn generate_request(template: &str, system: Option<&str>) -> Value {
    let mut request = Map::new();
    request.insert("contents".to_owned(), json!([content(template)]));
    if let Some(system) = system {
        request.insert("systemInstruction".to_owned(), content(system));
    }
    Value::Object(request)
}

/// A request for a vector. Its strings are templates still to be compiled.
pub fn embed_request(
    template: &str,
    task_type: Option<&str>,
    dimensionality: Option<u32>,
    title: Option<&str>,
) -> Value {
    let mut request = Map::new();
    request.insert("content".to_owned(), content(template));
    if let Some(task_type) = task_type {
        request.insert("taskType".to_owned(), task_type.into());
    }
    if let Some(title) = title {
        request.insert("title".to_owned(), title.into());
    }
    if let Some(dimensionality) = dimensionality {
        request.insert("outputDimensionality".to_owned(), dimensionality.into());
    }
    Value::Object(request)
}

fn content(text: &str) -> Value {
    json!({"parts": [{"text": text}]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_alone_makes_the_smallest_request() {
        let request = generate_request("Hi {{ name }}", None);
        assert_eq!(request.to_string(), r#"{"contents":[{"parts":[{"text":"Hi {{ name }}"}]}]}"#);
    }

    #[test]
    fn an_embedding_request_has_its_settings_beside_the_content() {
        let request = embed_request("{{ text }}", Some("RETRIEVAL_DOCUMENT"), Some(768), Some("{{ title }}"));
        let expected = concat!(
            r#"{"content":{"parts":[{"text":"{{ text }}"}]},"taskType":"RETRIEVAL_DOCUMENT","#,
            r#""title":"{{ title }}","outputDimensionality":768}"#
        );
        assert_eq!(request.to_string(), expected);
    }
}
